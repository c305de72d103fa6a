"""Text from elsewhere without what a terminal would obey: control characters, escape sequences, turned reading orders.

The lowest room: errors print names that strangers wrote, too. `formatting.printable` is the same function.
"""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor, clearing
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\\\|\x9c)"  # strings: titles, clipboard
    "|\x1b[ -/]{0,8}[0-~]"
)
_BLANKS = re.compile("[\t\n\x0b\x0c\r\x1c-\x1f\x85\u2028\u2029]+")
# Beside the control characters: what is not drawn and turns or hides what is, and half of a surrogate pair.
_HIDDEN_CLASS = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_HIDDEN = re.compile(f"[{_HIDDEN_CLASS}]")
_IN_JSON = re.compile(f"[{_HIDDEN_CLASS}\u2028\u2029\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029\x85]")


def printable(text: str, limit: int | None = None) -> str:
    """Returns text as one line that shows what it says and does nothing else.

    Escape sequences go as a whole, and so do control characters and those that turn the direction of reading; line
    ends and tabs become blanks.

    Args:
        text: Text from a file, a name or a plugin.
        limit: Most characters; the end of what is longer is replaced by `…`. None for no limit.
    """
    if text.isascii() and text.isprintable():  # nearly always: tables print this of every cell
        return _shortened(text, limit)
    return _shortened(_cleaned(_BLANKS.sub(" ", _ESCAPES.sub("", text))), limit)


def printable_lines(text: str, limit: int | None = None) -> str:
    """Returns text of several lines in the same way; line ends and tabs stay.

    Args:
        text: Text from a file, a name or a plugin.
        limit: Most characters of a line.
    """
    lines = _cleaned(_LINE_ENDS.sub("\n", _ESCAPES.sub("", text))).split("\n")
    return "\n".join(_shortened(line, limit) for line in lines)


def escaped_json(text: str) -> str:
    r"""Returns JSON with what `printable` would take away written as `\u` escapes: the same data, harmless to print."""
    return _IN_JSON.sub(lambda match: _escape(match.group()), text)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _cleaned(text: str) -> str:
    return _SURROGATE.sub("\ufffd", _HIDDEN.sub("", text))


def _shortened(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else text[: max(limit - 1, 0)] + "…"
