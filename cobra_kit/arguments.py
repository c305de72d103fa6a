"""Checks of what a caller gave, at the door of a public function: used as it is, or refused by the argument's name."""

from __future__ import annotations

import math
import operator
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Set
from functools import wraps
from numbers import Real
from pathlib import Path
from typing import Any, SupportsIndex, TypeVar, cast

from cobra_kit.errors import ArgumentError, kind_of

Value = TypeVar("Value")

_LONGEST_NAME = 255
"""Bytes of a file's or folder's name, on all file systems in common use."""


def whole_number(value: object, name: str, *, at_least: int | None = None, at_most: int | None = None) -> int:
    """Returns an integer, numpy's too; a boolean, a float and a text are none.

    Args:
        value: What the caller gave.
        name: Name of the argument, for the error.
        at_least: The least that it may be.
        at_most: The most that it may be.

    Raises:
        ArgumentError: It is no integer, or out of range.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(cast("SupportsIndex", value))
    except TypeError:
        number = None
    if number is None:
        raise ArgumentError(f"{name} must be a whole number, not {kind_of(value)}")
    if at_least is not None and number < at_least:
        raise ArgumentError(f"{name} must be at least {at_least}, not {_shorten(number)}")
    if at_most is not None and number > at_most:
        raise ArgumentError(f"{name} must be at most {at_most}, not {_shorten(number)}")
    return int(number)


def real_number(value: object, name: str) -> float:
    """Returns a number as a float, infinity and NaN too; a boolean and a text are none.

    Raises:
        ArgumentError: The value is no number.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentError(f"{name} must be a number, not {kind_of(value)}")
    try:
        return float(value)
    except OverflowError as error:
        raise ArgumentError(f"{name} must be a number that fits a float, not {kind_of(value)} beyond it") from error


def finite_number(value: object, name: str) -> float:
    """Returns a finite number as a float; a boolean and a text are none.

    Raises:
        ArgumentError: It is no number, infinite or NaN.
    """
    number = real_number(value, name)
    if not math.isfinite(number):
        raise ArgumentError(f"{name} must be a finite number, not {number}")
    return number


def text(value: object, name: str) -> str:
    """Returns a text.

    Raises:
        ArgumentError: The value is no text.
    """
    if not isinstance(value, str):
        raise ArgumentError(f"{name} must be a text, not {kind_of(value)}")
    return value


def valid_text(value: object, name: str) -> str:
    """Returns a text that UTF-8 can write.

    Raises:
        ArgumentError: It is no text, or holds half of a surrogate pair.
    """
    given = text(value, name)
    try:
        given.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{name} is not valid Unicode at character {error.start}: {given[:40]!r}") from error
    return given


def texts(value: object, name: str, *, example: str) -> list[str]:
    """Returns texts as a list; a single text is refused, for it would be read letter by letter, and so is a set.

    Args:
        value: What the caller gave.
        name: Name of the argument, for the error.
        example: A right one, for the hint.

    Raises:
        ArgumentError: It is no list of texts.
    """
    hint = f"For example {example}"
    if isinstance(value, str | bytes | Mapping | Set) or not isinstance(value, Iterable):
        raise ArgumentError(f"{name} must be a list of texts, not {kind_of(value)}", hint=hint)
    items = list(value)
    for number, item in enumerate(items, start=1):
        if not isinstance(item, str):
            raise ArgumentError(f"{name} must be texts, and number {number} is {kind_of(item)}", hint=hint)
    return items


def file_path(value: object, name: str) -> Path:
    """Returns a path.

    Raises:
        ArgumentError: It is neither a text nor a path, empty, or nothing that a file system could hold.
    """
    if not isinstance(value, str | os.PathLike):
        raise ArgumentError(f"{name} must be a path, not {kind_of(value)}")
    path = os.fspath(value)
    if not isinstance(path, str):
        raise ArgumentError(f"{name} must be a path of text, not {kind_of(path)}", hint="os.fsdecode makes one.")
    if not path or "\0" in path:
        raise ArgumentError(f"{name} must be a path, not {path[:40]!r}")
    try:
        longest = max(map(len, os.fsencode(path).split(os.fsencode(os.sep))))
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{name} must be a path, and {path[:40]!r} is no text in this file system") from error
    if longest > _LONGEST_NAME:
        raise ArgumentError(f"{name} holds a name of {longest} bytes, and file systems take {_LONGEST_NAME}")
    return Path(path)


def instance(value: object, wanted: type[Value], name: str, *, hint: str | None = None) -> Value:
    """Returns a value of a type.

    Args:
        value: What the caller gave.
        wanted: The type that it must have.
        name: Name of the argument, for the error.
        hint: Where such a value comes from.

    Raises:
        ArgumentError: It is of another type.
    """
    if not isinstance(value, wanted):
        raise ArgumentError(f"{name} must be {kind_of(wanted)}, not {kind_of(value)}", hint=hint)
    return value


def settings_of(kind: type[Value], settings: object, options: Mapping[str, Any]) -> Value:
    """Returns settings that were given whole, or in their short form: field by field, as keywords.

    Args:
        kind: The dataclass of the settings.
        settings: What was given for them; None: the short form.
        options: The keywords of the short form.

    Raises:
        ArgumentError: Both were given, or the settings are of another type.
        TypeError: A keyword is no field, or one is missing.
    """
    if settings is None:
        return kind(**options)
    if options:
        raise ArgumentError(f"settings say everything: {', '.join(options)} cannot stand beside them")
    return instance(settings, kind, "settings")


def _shorten(number: int) -> str:
    """Returns a number that has too many digits to be read, or for Python to write, as a power."""
    return str(number) if number.bit_length() < 128 else f"about {'-' if number < 0 else ''}2**{number.bit_length()}"


def renamed_arguments(**new_names: str) -> Callable[[Value], Value]:
    """Lets a function, or a dataclass and its fields, be used by the keywords that it had.

    Args:
        **new_names: The keyword now by the keyword before.

    Returns:
        A decorator; whoever uses an old keyword reads the new one in a `DeprecationWarning`.
    """

    def decorate(target: Value) -> Value:
        call = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
        name = target.__name__  # type: ignore[attr-defined]

        @wraps(call)  # type: ignore[arg-type]
        def called(*args: Any, **keywords: Any) -> Any:
            for old in new_names.keys() & keywords.keys():
                if new_names[old] in keywords:
                    raise ArgumentError(f"{name}: {old} is called {new_names[old]} now, and both are given")
                warnings.warn(f"{name}: {old} is called {new_names[old]} now", DeprecationWarning, stacklevel=2)
                keywords[new_names[old]] = keywords.pop(old)
            return call(*args, **keywords)  # type: ignore[operator]

        if not isinstance(target, type):
            return cast(Value, called)
        target.__init__ = called  # type: ignore[misc]
        for old, new in new_names.items():
            setattr(target, old, _old_field(name, old, new))
        return target

    return decorate


def _old_field(owner: str, old: str, new: str) -> property:
    def value(self: object) -> Any:
        warnings.warn(f"{owner}: {old} is called {new} now", DeprecationWarning, stacklevel=2)
        return getattr(self, new)

    return property(value)
