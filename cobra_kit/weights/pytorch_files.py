"""Looks at a PyTorch file before torch does: what it describes must be in it, and what is in it must be intact.

torch writes a zip archive, in which nothing is packed and every record has a checksum that its reader ignores; before
1.6 it wrote pickles one behind the other.
"""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

from cobra_kit.machine import cores
from cobra_kit.weights.pickle_stand_ins import OversizedError, StoredTensor
from cobra_kit.weights.pickles import LimitedReader, described_tensors, read_description

_ZIP = b"PK\x03\x04"
_END, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES, _END_64_BYTES, _LOCATOR_BYTES, _LOCAL_BYTES = 22, 56, 20, 30
_MOST_DIRECTORY = 16 << 20
_MOST_SMALL_RECORD = 8 << 20
_MAGIC = 0x1950A86A20F9469CFC6C
_BLOCK = 1 << 20
_MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class PyTorchDescription:
    """The tensors and storages that a PyTorch file says it holds.

    Args:
        path: The file that is described.
        tensors: Tensors by the key at the file's top that they are below.
        is_zip: Whether it is a zip archive, which torch can map.
        records: Place and size of each storage in a zip archive; a checksum of 0 is none.
    """

    path: Path
    tensors: Mapping[Any, list[StoredTensor]]
    is_zip: bool = False
    records: Mapping[str, zipfile.ZipInfo] = field(default_factory=dict)

    def damaged_records(self, left_out: Collection[str]) -> list[str]:
        """Returns which records of a zip archive are not what was written; what is left out is not read for it.

        Args:
            left_out: Keys at the file's top whose tensors nobody wants.
        """
        wanted = {
            tensor.storage.key for top, below in self.tensors.items() if str(top) not in left_out for tensor in below
        }
        records = [self.records[key] for key in sorted(wanted) if key in self.records]
        checked = [record for record in records if record.CRC]
        with ThreadPoolExecutor(max(1, min(cores(), _MOST_THREADS))) as pool:
            intact = pool.map(lambda record: _checksum(self.path, record) == record.CRC, checked)
            return [record.filename for record, good in zip(checked, intact, strict=True) if not good]


def describe(path: Path) -> PyTorchDescription:
    """Returns what a file says that it holds, having checked that it can be so.

    Raises:
        OversizedError: It describes more than it has, or would take far more memory than its tensors do.
        UnpicklingError: It is no file of tensors alone.
        BadZipFile: It begins as a zip archive, and is none or a damaged one.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(_ZIP)) == _ZIP:
            return _describe_zip(path, file)
        file.seek(0)
        return _describe_pickles(path, file)


def _describe_zip(path: Path, file: BinaryIO) -> PyTorchDescription:
    size = os.fstat(file.fileno()).st_size
    _check_directory(file, size)
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
    _check_records(records, size)
    pickles = [record for record in records if record.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise zipfile.BadZipFile("no archive of torch's: not one data.pkl in it")
    prefix = f"{pickles[0].filename.removesuffix('data.pkl')}data/"
    stored = {r.filename.removeprefix(prefix): r for r in records if r.filename.startswith(prefix)}
    for record in records:
        if not record.filename.startswith(prefix) and record.file_size > _MOST_SMALL_RECORD:
            raise OversizedError(f"its record {record.filename[:80]} has {record.file_size:,} bytes")
    pickled = b"".join(_content(file, pickles[0]))
    if pickles[0].CRC and zlib.crc32(pickled) != pickles[0].CRC:
        raise zipfile.BadZipFile(f"{pickles[0].filename[:80]} is not what was written: its checksum differs")
    tensors = described_tensors(read_description(LimitedReader(io.BytesIO(pickled))))
    for tensor in _each(tensors):
        own = stored.get(tensor.storage.key)
        if own is None or tensor.storage.num_bytes > own.file_size:
            raise OversizedError(
                f"storage {tensor.storage.key[:40]} is said to have {tensor.storage.num_bytes:,} bytes, and has "
                f"{own.file_size if own else 0:,}"
            )
    return PyTorchDescription(path, tensors, is_zip=True, records=stored)


def _check_directory(file: BinaryIO, size: int) -> None:
    """Checks the size of an archive's list of records, before it is read; torch writes nothing behind it."""
    file.seek(max(0, size - _END_BYTES - _LOCATOR_BYTES))
    tail = file.read(_END_BYTES + _LOCATOR_BYTES)
    locator, end = tail[:_LOCATOR_BYTES], tail[_LOCATOR_BYTES:]
    if not end.startswith(_END) or len(end) != _END_BYTES:
        raise zipfile.BadZipFile("it has no end: the list of its records is missing")
    length = int.from_bytes(end[12:16], "little")
    if locator.startswith(_LOCATOR_64):
        file.seek(min(size, int.from_bytes(locator[8:16], "little")))
        length = max(length if length != 2**32 - 1 else 0, int.from_bytes(file.read(_END_64_BYTES)[40:48], "little"))
    if length > _MOST_DIRECTORY:
        raise OversizedError(f"the list of its records has {length:,} bytes")


def _check_records(records: Sequence[zipfile.ZipInfo], size: int) -> None:
    if len({record.filename for record in records}) < len(records):
        raise zipfile.BadZipFile("two records have one name")
    end = 0
    for record in sorted(records, key=lambda record: record.header_offset):
        if record.compress_type != zipfile.ZIP_STORED or record.compress_size != record.file_size:
            raise OversizedError(f"its record {record.filename[:80]} is packed, which torch never does")
        if record.header_offset < end:
            raise OversizedError(f"its record {record.filename[:80]} lies within another")
        end = record.header_offset + _LOCAL_BYTES + record.file_size
    if end > size:
        raise zipfile.BadZipFile("it ends before its records do")


def _content(file: BinaryIO, record: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yields what a record holds; not by zipfile, which refuses records that were written without a checksum."""
    file.seek(record.header_offset)
    local = file.read(_LOCAL_BYTES)
    file.seek(int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little"), os.SEEK_CUR)
    length = record.file_size
    while length and (block := file.read(min(length, _BLOCK))):
        length -= len(block)
        yield block


def _checksum(path: Path, record: zipfile.ZipInfo) -> int:
    value = 0
    with path.open("rb", buffering=0) as file:
        for block in _content(file, record):
            value = zlib.crc32(block, value)
    return value


def _describe_pickles(path: Path, file: BinaryIO) -> PyTorchDescription:
    reader = LimitedReader(file)
    if read_description(reader) != _MAGIC:
        raise UnpicklingError(f"GLOBAL {reader.unknown[0]}" if reader.unknown else "no PyTorch file")
    for _ in ("protocol", "system"):
        read_description(reader)
    tensors = described_tensors(read_description(reader))
    described = sum({tensor.storage.key: tensor.storage.num_bytes for tensor in _each(tensors)}.values())
    size = os.fstat(file.fileno()).st_size
    if described > size:
        raise OversizedError(f"its tensors are said to have {described:,} bytes, and the file has {size:,}")
    return PyTorchDescription(path, tensors)


def _each(tensors: Mapping[Any, list[StoredTensor]]) -> Iterable[StoredTensor]:
    return (tensor for below in tensors.values() for tensor in below)
