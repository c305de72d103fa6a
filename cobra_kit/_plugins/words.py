"""The words of the host's messages."""

from __future__ import annotations

from cobra_kit._plugins.contain import ProcessEnded
from cobra_kit.errors import CobraError, class_name, text_of
from cobra_kit.formatting import printable
from cobra_kit.plugin import AnyKind

KIND_WORDS: dict[AnyKind, str] = {
    "vision_encoder": "vision encoder",
    "projector": "projector",
    "fusion": "fusion scheme",
    "backbone": "backbone",
    "data_source": "data source",
    "benchmark": "benchmark",
    "scoring_rule": "scoring rule",
    "tracker": "tracker",
}

_LONGEST = 1000
"""Most characters of a plugin's own text in a message of ours."""


def one_line(error: BaseException) -> str:
    """Returns an exception as one line; the type is left out where the message says it all.

    Nothing of the exception's own code can raise here, and nothing in its text is obeyed by a terminal.
    """
    cls = type(error)
    if issubclass(cls, ProcessEnded):
        return printable(text_of(error), _LONGEST)
    if issubclass(cls, SystemExit):
        return f"it called exit({_exit_code(error)}) while being imported"
    text = printable(" ".join(text_of(error).split()), _LONGEST)
    if issubclass(cls, ImportError) and text:
        return text
    name = printable(class_name(cls), _LONGEST)
    return f"{name}: {text}" if text else name


def message_of(error: BaseException) -> str:
    """Returns what is wrong, of an error of ours without its place and hint; else as `one_line` says it."""
    if not issubclass(type(error), CobraError):
        return one_line(error)
    try:
        message = error.message if isinstance(error.message, str) else ""  # type: ignore[attr-defined]
    except BaseException:  # a plugin may derive from our errors
        message = ""
    return printable(" ".join(message.split()), _LONGEST) or one_line(error)


def _exit_code(error: BaseException) -> str:
    try:
        code = getattr(error, "code", None)
        return "" if code is None else printable(repr(code), 100)
    except BaseException:
        return "something that has no text"
