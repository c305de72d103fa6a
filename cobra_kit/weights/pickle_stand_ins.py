"""The stand-ins for what the pickle of a PyTorch file may name: tensors as they are described, nothing is made."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from cobra_kit.errors import WeightsError

SMALL_VIEW = 1 << 20
"""Bytes: a mask or a scale that is one number seen many times may be as large."""
_MOST_DIMENSIONS = 64
_SAFE_ENCODINGS = ("latin1", "latin-1")


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
class StandIn:
    """The stand-in for a name in a pickle; torch decides about names that are not known here."""

    name: str

    def __call__(self, *args: Any) -> Any:
        """Returns what stands for the result of a call.

        Raises:
            UnpicklingError: torch's reader of tensors alone would not call it.
        """
        known = CALLS.get(self.name)
        if known is not None:
            return known(*args)
        if self.name.startswith(("torch.", "builtins.")):
            raise pickle.UnpicklingError(f"GLOBAL {self.name}")
        return _OPAQUE


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> StoredTensor:
    item_bytes = expect(storage, StoredValues).item_bytes
    return _described(storage, item_bytes, offset, size, stride)


def _tensor_of_type(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> StoredTensor:
    dtype = getattr(torch, expect(rest[2], StandIn).name.rpartition(".")[2], None)
    return _described(expect(storage, StoredValues), expect(dtype, torch.dtype).itemsize, offset, size, stride)


def _described(storage: StoredValues, item_bytes: int, offset: Any, size: Any, stride: Any) -> StoredTensor:
    size, stride = expect(size, tuple), expect(stride, tuple)
    if not all(map(is_size, (offset, *size, *stride))) or len(size) != len(stride) or len(size) > _MOST_DIMENSIONS:
        raise pickle.UnpicklingError("no tensor")
    number = 1
    for length in size:
        number *= length
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if number and (last + 1) * item_bytes > storage.num_bytes:
        raise OversizedError(f"a tensor {_shape(size)} reaches beyond the {storage.num_bytes:,} bytes that it is in")
    if number * item_bytes > max(storage.num_bytes, SMALL_VIEW):
        raise OversizedError(f"a tensor {_shape(size)} is {storage.num_bytes:,} bytes, seen again and again")
    return StoredTensor(storage, number * item_bytes, (offset, size, stride, item_bytes))


def _parameter(data: Any = None, *rest: Any) -> Any:
    return _OPAQUE if data is None else expect(data, StoredTensor)


def _of_type(function: Any, kind: Any, args: Any, state: Any) -> Any:
    return expect(function, StandIn)(*expect(args, tuple))


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((plain_key(key), value) for key, value in pairs)


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
        plain_key(value if not isinstance(value, list | tuple) else tuple(value))
    return _OPAQUE


def _size(values: Any = ()) -> tuple[Any, ...]:
    return tuple(values if isinstance(values, list) else expect(values, tuple))


CALLS: Mapping[str, Callable[..., Any]] = {
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


def expect(value: Any, kind: type) -> Any:
    """Returns a value of the kind that torch's reader would take there.

    Raises:
        UnpicklingError: It is of another kind.
    """
    if not isinstance(value, kind):
        raise pickle.UnpicklingError(f"no {kind.__name__}")
    return value


def is_size(value: Any) -> bool:
    """Returns whether a value may be a length, an offset or a step."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def plain_key(key: Any) -> Any:
    """Returns a key whose hash takes no time: the hash of tuples in tuples ends the process where they are many."""
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, tuple | list | dict):
            raise pickle.UnpicklingError("a key that is no name")
    return key


def _shape(size: tuple[Any, ...]) -> str:
    return " x ".join(map(str, size[:6])) + (" x ..." if len(size) > 6 else "")
