"""Digests: JSON files that carry one of themselves, and one of other files for whoever names them.

A sealed mapping has a key `sha256` with the digest of the rest, in a form in which neither the order of keys nor blanks
count. Files written before there were digests have no such key; they open, and are not `is_sealed`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobra_kit.errors import DamagedFile, UnreadableFile
from cobra_kit.files.reading import DEPTH, SMALL_BYTES, read_mapping
from cobra_kit.files.writing import json_bytes, write_json

SEAL = "sha256"
"""The key of a mapping's digest."""

_BLOCK = 1 << 20
_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class FileDigest:
    """The size and the digest of a file. JSON-able by `asdict`.

    Args:
        bytes: The file's size in bytes.
        sha256: Digest of its content: `sha256:` and 64 hexadecimal digits.
    """

    bytes: int
    sha256: str

    @classmethod
    def from_plain(cls, value: Any, source: Path, *, hint: str | None = None) -> FileDigest:
        """Returns the digest that a file names.

        Args:
            value: As `asdict` made it and JSON kept it.
            source: The file that holds it, for the error.
            hint: What to do about a damaged one.

        Raises:
            DamagedFile: The value is no digest.
        """
        size, digest = (value.get("bytes"), value.get("sha256")) if isinstance(value, dict) else (None, None)
        if not isinstance(size, int) or isinstance(size, bool) or not isinstance(digest, str):
            raise DamagedFile(source, "holds no digest where one is expected", hint)
        return cls(size, digest)


def file_digest(path: Path) -> FileDigest:
    """Returns the digest of a file.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableFile: The file cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableFile(path, f"cannot be read: {error.strerror or error}") from error
    return FileDigest(size, f"{_PREFIX}{digest.hexdigest()}")


def bytes_digest(content: bytes) -> FileDigest:
    """Returns the digest of a file with this content."""
    return FileDigest(len(content), f"{_PREFIX}{hashlib.sha256(content).hexdigest()}")


def check_file(path: Path, digest: FileDigest, remedy: str) -> None:
    """Checks that a file holds what it held when its digest was taken.

    Args:
        path: The file to check.
        digest: The digest that was taken then.
        remedy: What to do where it does not.

    Raises:
        DamagedFile: It is missing, or its content is another.
        UnreadableFile: The file cannot be read.
    """
    try:
        size = path.stat().st_size
        now = file_digest(path) if size == digest.bytes else None
    except FileNotFoundError as error:
        raise DamagedFile(path, "is missing", remedy) from error
    except OSError as error:
        raise UnreadableFile(path, f"cannot be read: {error.strerror or error}") from error
    if now is None:
        raise DamagedFile(path, f"holds {size:,} bytes, {digest.bytes:,} were written", remedy)
    if now != digest:
        raise DamagedFile(path, "its content is not what was written: the digest differs", remedy)


def seal(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a mapping as JSON keeps it, with its digest below `sha256`; one that was there before is replaced.

    Raises:
        ValueError: The mapping holds NaN or infinity, which JSON does not have.
        TypeError: The mapping holds something that JSON does not have.
    """
    rest = {key: value for key, value in mapping.items() if key != SEAL}
    plain: dict[str, Any] = json.loads(json_bytes(rest))  # as it is read back: keys are texts, tuples are lists
    return {**plain, SEAL: _digest(plain)}


def is_sealed(mapping: Mapping[str, Any]) -> bool:
    """Returns whether a mapping carries a digest, which may be right or wrong."""
    return SEAL in mapping


def without_seal(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a mapping without its digest."""
    return {key: value for key, value in mapping.items() if key != SEAL}


def check_seal(mapping: Mapping[str, Any], path: Path, *, hint: str | None = None) -> None:
    """Checks the digest that a mapping carries; one without is not checked.

    Raises:
        DamagedFile: It is not that of the mapping.
    """
    if is_sealed(mapping) and mapping[SEAL] != _digest(without_seal(mapping)):
        raise DamagedFile(path, "its content is not what was written: the digest differs", hint)


def write_sealed_json(path: Path, mapping: Mapping[str, Any]) -> None:
    """Writes a mapping with its digest as indented JSON; see `seal` and `atomic_write`."""
    write_json(path, seal(mapping))


def read_sealed_json(
    path: Path, limit_bytes: int = SMALL_BYTES, *, depth: int = DEPTH, hint: str | None = None
) -> dict[str, Any]:
    """Returns the mapping that a file holds, its digest included where it has one (`is_sealed`).

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It is damaged in any way that `read_mapping` notices, or its digest is not that of its content.
        UnreadableFile: It cannot be read now.
    """
    mapping = read_mapping(path, limit_bytes, depth=depth, hint=hint)
    check_seal(mapping, path, hint=hint)
    return mapping


def _digest(plain: Mapping[str, Any]) -> str:
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
