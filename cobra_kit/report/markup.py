"""HTML and SVG as text that cannot be broken out of: everything that is not `Markup` is escaped.

Names of arms, answers of models and errors of trials can hold anything.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TypeAlias

from cobra_kit.errors import ArgumentError

# What HTML has no way to write (control characters, half of a surrogate pair) is shown as a replacement character.
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")
_VOID = {"meta", "img", "input", "br", "hr", "link"}

Attribute = str | float | bool | None


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[Child] | None"


def escape(text: str) -> Markup:
    """Returns text as markup that shows it, in an element or in a quoted attribute."""
    return Markup(html.escape(_UNWRITABLE.sub("\ufffd", text), quote=True))


def element(tag: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Returns an element.

    Args:
        tag: Its name.
        children: Text, which is escaped, `Markup`, or several of them; None and what is empty stand for nothing.
        attributes: `class_` is `class`, `aria_label` is `aria-label`; None and False are left out, True has no value.

    Raises:
        ValueError: A name is none that HTML could have.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    opening = f"<{_checked(tag)}{written}>"
    if tag in _VOID:
        return Markup(opening)
    return Markup(f"{opening}{join(children)}</{tag}>")


def join(children: Iterable[Child]) -> Markup:
    """Returns the children one after the other, text escaped."""
    return Markup("".join(_child(child) for child in children))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    return escape(child) if isinstance(child, str) else join(child)


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    written = _checked(name.rstrip("_").replace("_", "-"))
    if value is True:
        return f" {written}"
    return f' {written}="{escape(number(value) if isinstance(value, float | int) else value)}"'


def number(value: float) -> str:
    """Returns a coordinate with at most two decimals, in as few letters as it takes."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise ArgumentError(f"not a name of an element or an attribute: {name!r}")
    return name
