"""SVG as text that cannot be broken out of: everything that is not `Markup` is escaped.

Names of arms, answers of models and errors of trials can hold anything. Plots are written here and not by templates,
since nearly all of a plot is coordinates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

import markupsafe
from markupsafe import Markup

from cobra_kit.errors import ArgumentError

# What HTML has no way to write (control characters, half of a surrogate pair), and what would turn the reading order or
# hide in a name, is shown as a replacement character.
_UNWRITABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U000e0000-\U000e007f]"
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")

Attribute = str | float | bool | None
Child: TypeAlias = "str | Iterable[Child] | None"


def element(tag: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Returns an element.

    Args:
        tag: Name of the element, such as `svg`.
        children: Text, which is escaped, `Markup`, or several of them; None and what is empty stand for nothing.
        attributes: `class_` is `class`, `aria_label` is `aria-label`; None and False are left out, True has no value.

    Raises:
        ValueError: A name is none that HTML could have.
    """
    opening = _checked(tag) + "".join(_attribute(name, value) for name, value in attributes.items())
    return Markup(f"<{opening}>{_content(children)}</{tag}>")


def escape(text: str) -> Markup:
    """Returns text as markup that shows it, in an element or in a quoted attribute."""
    return markupsafe.escape(writable(text))


def writable(text: str) -> str:
    """Returns text without characters that HTML cannot hold; `Markup` stays, its parts were looked at before."""
    return text if isinstance(text, Markup) else _UNWRITABLE.sub("\ufffd", text)


def _content(child: Child) -> str:
    if child is None:
        return ""
    return escape(child) if isinstance(child, str) else "".join(map(_content, child))


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    written = _checked(name.rstrip("_").replace("_", "-"))
    if value is True:
        return f" {written}"
    return f' {written}="{escape(value if isinstance(value, str) else _coordinate(value))}"'


def _coordinate(value: float) -> str:
    """Returns a number with at most two decimals, in as few letters as it takes."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise ArgumentError(f"not a name of an element or an attribute: {name!r}")
    return name
