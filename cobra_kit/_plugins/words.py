"""The words of the host's messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from cobra_kit.plugin import Kind

KIND_WORDS: dict[Kind, str] = {
    "vision_encoder": "vision encoder",
    "projector": "projector",
    "fusion": "fusion scheme",
    "backbone": "backbone",
}


def one_line(error: BaseException) -> str:
    """Returns an exception as one line; the type is left out where the message says it all."""
    if isinstance(error, SystemExit):
        return f"it called exit({'' if error.code is None else repr(error.code)}) while being imported"
    try:
        text = " ".join(str(error).split())
    except Exception:  # a plugin's own exception, whose text raises
        text = ""
    if isinstance(error, ImportError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def either(names: Sequence[str]) -> str:
    """Returns `a`, `a or b`, `a, b or c`."""
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def count(number: int, noun: str) -> str:
    """Returns `1 plugin`, `2 plugins`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def nearest(word: str, choices: Iterable[str], number: int = 3) -> list[str]:
    """Returns the choices that look most like `word`, best first, each once."""
    return difflib.get_close_matches(word, sorted(set(choices)), n=number)
