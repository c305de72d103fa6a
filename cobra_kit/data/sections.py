"""Digests of a large file's sections, so that each is checked when it is first read and opening costs nothing.

A section is a run of items (images, features of images) of a few megabytes; one that is larger is a section by itself.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import Any

SECTION_BYTES = 4 << 20


class SectionWriter:
    """Digests of what is written, item after item.

    Attributes:
        sections: Per section the number of its first item, and its digest; without the one that is being written.
    """

    def __init__(self) -> None:
        self.sections: list[tuple[int, str]] = []
        self._digest, self._bytes, self._first, self._items = hashlib.sha256(), 0, 0, 0

    def add(self, content: bytes) -> None:
        """Adds an item that was written."""
        self._digest.update(content)
        self._bytes += len(content)
        self._items += 1
        if self._bytes >= SECTION_BYTES:
            self._close()

    def finish(self) -> list[tuple[int, str]]:
        """Returns all sections; nothing is added from then on."""
        if self._items > self._first:
            self._close()
        return self.sections

    def _close(self) -> None:
        self.sections.append((self._first, self._digest.hexdigest()))
        self._digest, self._bytes, self._first = hashlib.sha256(), 0, self._items


class SectionCheck:
    """Checks sections when something in them is first read.

    Args:
        sections: As they were written and JSON kept them; None: there are no digests, nothing is checked.
        items: How many items there are.
        content: Returns the bytes of the items from the first number up to the second.

    Raises:
        ValueError: The sections are none.
    """

    def __init__(self, sections: Any, items: int, content: Callable[[int, int], Any]) -> None:
        self._content = content
        self._firsts: list[int] = []
        self._digests: list[str] = []
        for first, digest in [] if sections is None else sections:
            if not isinstance(first, int) or not isinstance(digest, str):
                raise ValueError("its sections are none")
            self._firsts.append(first)
            self._digests.append(digest)
        ends = [*self._firsts, items]
        if self._firsts and (ends[0] != 0 or any(end <= first for first, end in pairwise(ends))):
            raise ValueError("its sections do not follow each other")
        if sections is not None and not self._firsts and items:
            raise ValueError("its sections are missing")
        self._ends = ends[1:]
        self._unchecked = set(range(len(self._firsts)))

    def check(self, item: int) -> bool:
        """Returns whether the section of an item holds what was written; one that did once is not read again."""
        if not self._unchecked:
            return True
        section = bisect_right(self._firsts, item) - 1
        if section not in self._unchecked:
            return True
        digest = hashlib.sha256(self._content(self._firsts[section], self._ends[section])).hexdigest()
        if digest != self._digests[section]:
            return False
        self._unchecked.discard(section)
        return True

    def check_all(self) -> bool:
        """Returns whether all sections hold what was written."""
        return all(self.check(first) for first in self._firsts)
