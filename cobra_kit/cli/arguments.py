"""The words of a command line: global options may stand anywhere on it, and commands are written out to be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PROGRAM = "cobra-kit"
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


def option_words(**values: str | int | Path | tuple[str, ...] | None) -> list[str]:
    """Returns options as they are typed: a flag for True, once per value of a tuple, nothing for None or False."""
    words: list[str] = []
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif isinstance(value, tuple):
            words += [word for each in value for word in (option, each)]
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words
