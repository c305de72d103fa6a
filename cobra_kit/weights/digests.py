"""The digest that a safetensors file carries of itself, in its header; one that others wrote has none.

It covers the whole file, names, sizes and metadata included, with zeros where it stands itself: two tensors that
changed places are noticed as well as a changed byte. The tensors are hashed in shards, several at once, so that a file
of gigabytes costs little beside reading it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cobra_kit.machine import cores

DIGEST = "cobra_kit.sha256"
"""Its key in the header's metadata."""

NO_DIGEST = "0" * 64
"""What stands there while it is computed."""

_SHARD = 16 << 20
_BLOCK = 1 << 20
_MOST_THREADS = 8
_WRITTEN = re.compile(re.escape(f'"{DIGEST}":"'.encode()) + rb"([0-9a-f]{64})\"")


def write_digest(path: Path) -> None:
    """Puts the digest of a file in its place; the header must hold `NO_DIGEST` there."""
    header = _header(path)
    (place,) = _WRITTEN.finditer(header)
    with open(path, "r+b") as file:
        file.seek(place.start(1))
        file.write(_digest(path, header, place.start(1)).encode())


def is_intact(path: Path) -> bool:
    """Returns whether a file holds what the digest in its header says.

    Raises:
        OSError: The file cannot be read.
    """
    header = _header(path)
    places = list(_WRITTEN.finditer(header))
    return len(places) == 1 and _digest(path, header, places[0].start(1)).encode() == places[0][1]


def _header(path: Path) -> bytes:
    with open(path, "rb") as file:
        start = file.read(8)
        return start + file.read(int.from_bytes(start, "little"))


def _digest(path: Path, header: bytes, place: int) -> str:
    whole = hashlib.sha256(header[:place] + NO_DIGEST.encode() + header[place + len(NO_DIGEST) :])
    starts = range(len(header), path.stat().st_size, _SHARD)
    with ThreadPoolExecutor(max(1, min(cores(), _MOST_THREADS, len(starts)))) as pool:
        for digest in pool.map(lambda start: _shard_digest(path, start), starts):
            whole.update(digest)
    return whole.hexdigest()


def _shard_digest(path: Path, start: int) -> bytes:
    digest = hashlib.sha256()
    for block in _blocks(path, start, _SHARD):
        digest.update(block)
    return digest.digest()


def _blocks(path: Path, start: int, length: int) -> Iterator[memoryview]:
    """Yields some bytes of a file; each block is valid until the next."""
    buffer = memoryview(bytearray(min(_BLOCK, length)))
    # Read and not mapped: a file that is cut meanwhile is then a wrong digest and not the end of the process.
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        while length and (count := file.readinto(buffer[: min(_BLOCK, length)])):
            yield buffer[:count]
            length -= count
