"""Reads the pickle of a PyTorch file with stand-ins for everything: nothing is run, and no memory is asked for.

torch's own reader of tensors alone runs no code either, but believes every number in a file: `bytearray(10**12)`, a
storage of a terabyte, a mapping in itself. So what a file would make is looked at first.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch

from cobra_kit.errors import WeightsError

_MOST_READS = 4_000_000
_MOST_AT_ONCE = 8 << 20
_DEEPEST, _MOST_VALUES, _LONGEST_NAME = 64, 300_000, 2000
_SMALL_VIEW = 1 << 20  # bytes: a mask or a scale that is one number seen many times
_MOST_DIMENSIONS = 64
_SAFE_ENCODINGS = ("latin1", "latin-1")

_ITEM_BYTES = {
    **dict.fromkeys(("Byte", "Char", "Bool", "Untyped", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
"""By the names of torch's classes of storage, without the `Storage` at the end."""


class OversizedError(WeightsError):
    """The error of a checkpoint that describes more than its file can hold."""


@dataclass(frozen=True, slots=True)
class StoredValues:
    """A run of numbers in a file, as the pickle describes it: which record, and how many bytes it should have."""

    key: str
    item_bytes: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as the pickle describes it."""

    storage: StoredValues
    num_bytes: int
    view: tuple[Any, ...]


class _Opaque:
    """Something that is no tensor and holds none."""


_OPAQUE = _Opaque()


@dataclass(frozen=True, slots=True)
class _Global:
    """The stand-in for a name in a pickle; torch decides about names that are not known here."""

    name: str

    def __call__(self, *args: Any) -> Any:
        known = _CALLS.get(self.name)
        if known is not None:
            return known(*args)
        if self.name.startswith(("torch.", "builtins.")):
            raise pickle.UnpicklingError(f"GLOBAL {self.name}")
        return _OPAQUE


class LimitedReader:
    """A file, read for an unpickler that may not ask for much.

    Args:
        file: The file, at the start of a pickle.

    Attributes:
        unknown: Names that the pickles asked for and that no file of tensors alone has.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._reads = file, 0
        self.unknown: list[str] = []

    def read(self, size: int) -> bytes:
        """Returns that many bytes, fewer at the end of the file."""
        self._count(size)
        return self._file.read(size)

    def readline(self) -> bytes:
        """Returns the next line."""
        self._count(0)
        return self._file.readline(_LONGEST_NAME)

    def _count(self, size: int) -> None:
        self._reads += 1
        if size > _MOST_AT_ONCE or self._reads > _MOST_READS:
            raise OversizedError("its description of the tensors is larger than any checkpoint's")


class DescriptionReader(pickle._Unpickler):
    """Reads one pickle; storages and tensors become `StoredValues` and `StoredTensor`.

    The unpickler written in Python, not the one in C: its memo is a dict, where the other allocates as many places as
    the file asks for. It knows the operations that torch's reader of tensors alone knows.

    Args:
        reader: The file to read, open in binary.
    """

    stack: list[Any]  # of the class above, which is not typed to its end
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, reader: LimitedReader) -> None:
        super().__init__(reader, encoding="latin-1")
        self._unknown = reader.unknown

    def find_class(self, module: str, name: str) -> Any:
        """Returns a stand-in, whatever the name."""
        if module.partition(".")[0] != "torch" and f"{module}.{name}" not in _CALLS:
            self._unknown.append(f"{module}.{name}")
        return _Global(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> StoredValues:
        """Returns the storage that a pickle means by `("storage", type, key, location, number, ...)`."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], _Global):
            raise pickle.UnpicklingError("no storage")
        key, number = pid[2], pid[4]
        item_bytes = _ITEM_BYTES.get(pid[1].name.rpartition(".")[2].removesuffix("Storage"))
        if not isinstance(key, str) or len(key) > _LONGEST_NAME or item_bytes is None or not _is_size(number):
            raise pickle.UnpicklingError("no storage")
        return StoredValues(key, item_bytes, number * item_bytes)

    def _load_newobj(self) -> None:
        args, made = self.stack.pop(), self.stack.pop()
        self.append(made(*args))

    def _load_build(self) -> None:
        self.stack.pop()
        if isinstance(self.stack[-1], StoredTensor | StoredValues):
            raise pickle.UnpicklingError("a tensor with a state of its own")

    def _load_append(self) -> None:
        value = self.stack.pop()
        _expect(self.stack[-1], list).append(value)

    def _load_appends(self) -> None:
        values = self.pop_mark()
        _expect(self.stack[-1], list).extend(values)

    def _load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _expect(self.stack[-1], dict)[_plain_key(key)] = value

    def _load_setitems(self) -> None:
        items = self.pop_mark()
        target = _expect(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_plain_key(key)] = value

    dispatch = {  # type: ignore[assignment]  # of methods of this class
        operation[0]: pickle._Unpickler.dispatch[operation[0]]
        for operation in (
            *(pickle.GLOBAL, pickle.REDUCE, pickle.MARK, pickle.NONE, pickle.NEWFALSE, pickle.NEWTRUE, pickle.PROTO),
            *(pickle.EMPTY_TUPLE, pickle.EMPTY_LIST, pickle.EMPTY_DICT, pickle.EMPTY_SET, pickle.STOP),
            *(pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.BINPERSID),
            *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.BINFLOAT, pickle.LONG1),
            *(pickle.BINUNICODE, pickle.SHORT_BINSTRING),
            *(pickle.BINGET, pickle.LONG_BINGET, pickle.BINPUT, pickle.LONG_BINPUT),
        )
    } | {
        pickle.NEWOBJ[0]: _load_newobj,
        pickle.BUILD[0]: _load_build,
        pickle.APPEND[0]: _load_append,
        pickle.APPENDS[0]: _load_appends,
        pickle.SETITEM[0]: _load_setitem,
        pickle.SETITEMS[0]: _load_setitems,
    }


def read_description(reader: LimitedReader) -> Any:
    """Returns what a pickle makes, with stand-ins.

    Raises:
        UnpicklingError: It is none that torch reads as tensors alone.
        OversizedError: It asks for more memory than a checkpoint may.
    """
    try:
        return DescriptionReader(reader).load()
    except (pickle.UnpicklingError, OversizedError):
        raise
    except Exception as error:  # a garbled pickle raises almost any type
        raise pickle.UnpicklingError(f"garbled: {type(error).__name__}") from error


def described_tensors(tree: Any) -> dict[Any, list[StoredTensor]]:
    """Returns the tensors in a description by the key at its top that they are below.

    Raises:
        OversizedError: It is nested too deeply or in a circle, has too many values or too long names, or its tensors
            together are far more than what is stored.
    """
    if not isinstance(tree, Mapping):
        return {}
    tensors: dict[Any, list[StoredTensor]] = {}
    storages: dict[str, int] = {}
    views: dict[tuple[Any, ...], int] = {}
    visited = 0
    for top, content in tree.items():
        waiting = [(content, 1, len(str(top)))]
        while waiting:
            value, depth, name = waiting.pop()
            visited += 1
            if depth > _DEEPEST:
                raise OversizedError(f"nested more than {_DEEPEST} levels deep, or in a circle")
            if visited > _MOST_VALUES or name > _LONGEST_NAME:
                raise OversizedError("too many values, or too long names, for a checkpoint")
            if isinstance(value, StoredTensor):
                tensors.setdefault(top, []).append(value)
                storages[value.storage.key] = value.storage.num_bytes
                views[value.storage.key, value.view] = value.num_bytes
            elif isinstance(value, Mapping):
                inside = value.items()
                waiting += [(inner, depth + 1, name + 1 + len(str(key))) for key, inner in inside if _counts(inner)]
            elif isinstance(value, list | tuple):
                waiting += [(inner, depth + 1, name) for inner in value if _counts(inner)]
            if len(waiting) > _MOST_VALUES:
                raise OversizedError("too many values for a checkpoint")
    if sum(views.values()) > 4 * sum(storages.values()) + _SMALL_VIEW:
        raise OversizedError("its tensors share so much that they are many times what is stored")
    return tensors


def _counts(value: Any) -> bool:
    """Returns whether something may hold tensors or is one; plain values may be as many as they like."""
    return isinstance(value, Mapping | list | tuple | StoredTensor)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> StoredTensor:
    item_bytes = _expect(storage, StoredValues).item_bytes
    return _described(storage, item_bytes, offset, size, stride)


def _tensor_of_type(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> StoredTensor:
    dtype = getattr(torch, _expect(rest[2], _Global).name.rpartition(".")[2], None)
    return _described(_expect(storage, StoredValues), _expect(dtype, torch.dtype).itemsize, offset, size, stride)


def _described(storage: StoredValues, item_bytes: int, offset: Any, size: Any, stride: Any) -> StoredTensor:
    size, stride = _expect(size, tuple), _expect(stride, tuple)
    if not all(map(_is_size, (offset, *size, *stride))) or len(size) != len(stride) or len(size) > _MOST_DIMENSIONS:
        raise pickle.UnpicklingError("no tensor")
    number = 1
    for length in size:
        number *= length
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if number and (last + 1) * item_bytes > storage.num_bytes:
        raise OversizedError(f"a tensor {_shape(size)} reaches beyond the {storage.num_bytes:,} bytes that it is in")
    if number * item_bytes > max(storage.num_bytes, _SMALL_VIEW):
        raise OversizedError(f"a tensor {_shape(size)} is {storage.num_bytes:,} bytes, seen again and again")
    return StoredTensor(storage, number * item_bytes, (offset, size, stride, item_bytes))


def _parameter(data: Any = None, *rest: Any) -> Any:
    return _OPAQUE if data is None else _expect(data, StoredTensor)


def _of_type(function: Any, kind: Any, args: Any, state: Any) -> Any:
    return _expect(function, _Global)(*_expect(args, tuple))


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((_plain_key(key), value) for key, value in pairs)


def _encoded(text: Any, encoding: Any = "") -> Any:
    if not isinstance(text, str) or encoding not in _SAFE_ENCODINGS:
        raise pickle.UnpicklingError("GLOBAL _codecs.encode")
    return _OPAQUE


def _bytes(content: Any = "", *rest: Any) -> Any:
    if isinstance(content, int):
        raise OversizedError(f"asks for {content:,} bytes that are not in the file")
    return _OPAQUE


def _values(*args: Any) -> Any:
    """Stands for plain values: sizes, devices, sets, complex numbers."""
    for value in args:
        _plain_key(value if not isinstance(value, list | tuple) else tuple(value))
    return _OPAQUE


def _size(values: Any = ()) -> tuple[Any, ...]:
    return tuple(values if isinstance(values, list) else _expect(values, tuple))


_CALLS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "collections.Counter": lambda counts=(): _OPAQUE if isinstance(counts, dict) else _values(counts),
    "_codecs.encode": _encoded,
    "builtins.bytearray": _bytes,
    "builtins.complex": _values,
    "builtins.set": _values,
    "__builtin__.bytearray": _bytes,
    "__builtin__.complex": _values,
    "__builtin__.set": _values,
    "torch.Size": _size,
    "torch.device": _values,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_type,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch.serialization._get_layout": _values,
}
"""What may be called in a file of tensors alone; a call of torch's that is not here makes a tensor of another form."""


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise pickle.UnpicklingError(f"no {kind.__name__}")
    return value


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _plain_key(key: Any) -> Any:
    """Returns a key whose hash takes no time: the hash of tuples in tuples ends the process where they are many."""
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, tuple | list | dict):
            raise pickle.UnpicklingError("a key that is no name")
    return key


def _shape(size: tuple[Any, ...]) -> str:
    return " x ".join(map(str, size[:6])) + (" x ..." if len(size) > 6 else "")
