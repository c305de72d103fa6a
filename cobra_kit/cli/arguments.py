"""The words of a command line: global options may stand anywhere on it, and commands are written out to be repeated."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cobra_kit.processes import Terminated

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


def global_words(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the options before the command as words, from what the root of the command line understood."""
    plugins = tuple(map(str, parameters.get("plugin") or ()))
    flags = {name: parameters.get(name) for name in ("no_plugins", "debug")}
    return tuple(option_words(plugin=plugins, **flags))


def how_to_go_on(stop: KeyboardInterrupt, path: Path, words: Sequence[str]) -> str:
    """Returns what is said when a study was interrupted: by what, where it is kept, and the command that goes on.

    Args:
        stop: Ctrl-C or a signal.
        path: The study's folder.
        words: Words of the command, after the program's name.
    """
    how = f"Ended by {stop}" if isinstance(stop, Terminated) else "Interrupted"
    return f"\n{how}. What is done is kept in {path}. To go on:\n  {shlex.join([PROGRAM, *words])}"
