"""A checksum in every line of a file that grows: what changed on the disk since is noticed when the line is read.

It is the line's last key, so that whoever knows nothing of it reads the line as before.
"""

from __future__ import annotations

import zlib
from typing import Final

CHECKSUM: Final = "crc32"
"""The key of a line's checksum, the CRC-32 of all bytes before it."""

_BEFORE, _AFTER = f',"{CHECKSUM}":"'.encode(), b'"}'
_LENGTH = len(_BEFORE) + 8 + len(_AFTER)


def with_checksum(line: bytes) -> bytes:
    """Returns a line, a JSON mapping of at least one key and without its line end, with its checksum as last key."""
    head = line[:-1]
    return b"%b%b%08x%b" % (head, _BEFORE, zlib.crc32(head), _AFTER)


def has_checksum(line: bytes) -> bool:
    """Returns whether a line without its line end carries a checksum.

    Raises:
        ValueError: It does, and the checksum is not that of the line.
    """
    tail = line[-_LENGTH:]
    if not (tail.startswith(_BEFORE) and tail.endswith(_AFTER)):
        return False
    if tail[len(_BEFORE) : -len(_AFTER)] != b"%08x" % zlib.crc32(line[:-_LENGTH]):
        raise ValueError("its content is not what was written: the checksum differs")
    return True
