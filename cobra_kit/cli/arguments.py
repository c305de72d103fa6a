"""Lets the global options stand anywhere on the line, before or after the command."""

from __future__ import annotations

from collections.abc import Sequence

FLAGS = ("--debug", "--no-plugins")
WITH_VALUE = ("--plugin",)


class UsageError(Exception):
    """The words of the command line do not go together."""


def global_options_first(arguments: Sequence[str]) -> list[str]:
    """Returns the same arguments with the global options moved to the front; nothing after `--` is touched.

    Raises:
        UsageError: `--plugin` is the last word, or another option follows it.
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in FLAGS or word.startswith(tuple(f"{option}=" for option in WITH_VALUE)):
            front.append(word)
        elif word in WITH_VALUE:
            value = next(words, "")
            if not value or value.startswith("-"):
                raise UsageError(f"option {word} takes a value")
            front += [word, value]
        else:
            rest.append(word)
    return front + rest
