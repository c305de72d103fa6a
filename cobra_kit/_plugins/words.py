"""The words of the host's messages."""

from __future__ import annotations

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
