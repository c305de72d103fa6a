"""Reads the pickle of a PyTorch file with stand-ins for everything: nothing is run, and no memory is asked for.

torch's own reader of tensors alone runs no code either, but believes every number in a file: `bytearray(10**12)`, a
storage of a terabyte, a mapping in itself. So what a file would make is looked at first.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from cobra_kit.weights.pickle_stand_ins import (
    CALLS,
    SMALL_VIEW,
    OversizedError,
    StandIn,
    StoredTensor,
    StoredValues,
    expect,
    is_size,
    plain_key,
)

_MOST_READS = 4_000_000
_MOST_AT_ONCE = 8 << 20
_DEEPEST, _MOST_VALUES, _LONGEST_NAME = 64, 300_000, 2000

_ITEM_BYTES = {
    **dict.fromkeys(("Byte", "Char", "Bool", "Untyped", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
"""By the names of torch's classes of storage, without the `Storage` at the end."""


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
        if module.partition(".")[0] != "torch" and f"{module}.{name}" not in CALLS:
            self._unknown.append(f"{module}.{name}")
        return StandIn(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> StoredValues:
        """Returns the storage that a pickle means by `("storage", type, key, location, number, ...)`."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], StandIn):
            raise pickle.UnpicklingError("no storage")
        key, number = pid[2], pid[4]
        item_bytes = _ITEM_BYTES.get(pid[1].name.rpartition(".")[2].removesuffix("Storage"))
        if not isinstance(key, str) or len(key) > _LONGEST_NAME or item_bytes is None or not is_size(number):
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
        expect(self.stack[-1], list).append(value)

    def _load_appends(self) -> None:
        values = self.pop_mark()
        expect(self.stack[-1], list).extend(values)

    def _load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        expect(self.stack[-1], dict)[plain_key(key)] = value

    def _load_setitems(self) -> None:
        items = self.pop_mark()
        target = expect(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[plain_key(key)] = value

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
    if sum(views.values()) > 4 * sum(storages.values()) + SMALL_VIEW:
        raise OversizedError("its tensors share so much that they are many times what is stored")
    return tensors


def _counts(value: Any) -> bool:
    """Returns whether something may hold tensors or is one; plain values may be as many as they like."""
    return isinstance(value, Mapping | list | tuple | StoredTensor)
