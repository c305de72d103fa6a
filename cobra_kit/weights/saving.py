"""Tensors to a safetensors file that is whole or absent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
from safetensors.torch import save_file
from torch import Tensor

from cobra_kit.arguments import file_path, instance, valid_text
from cobra_kit.errors import CobraError, WeightsError
from cobra_kit.files import atomic_write
from cobra_kit.weights.checks import check_tensors
from cobra_kit.weights.digests import DIGEST, NO_DIGEST, write_digest
from cobra_kit.weights.reading import TIED


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors as safetensors: beside `path` first, flushed to the disk, then renamed.

    Tied tensors are stored once, under the first of their names; `load_tensors` gives them back under all. Equal
    tensors and metadata give equal bytes, in whatever order they come. The header carries a digest of the whole file,
    which `load_tensors` checks.

    Args:
        path: The file; its folder must exist. What stood there stays whole if writing fails.
        tensors: Tensors of any shape by name, on any device.
        metadata: Strings for the header.

    Raises:
        WeightsError: The file cannot be written.
    """
    path = file_path(path, "path")
    check_tensors(tensors, "tensors")
    for key, value in instance({} if metadata is None else metadata, dict, "metadata").items():
        valid_text(key, "a name in metadata")
        valid_text(value, f"{key!r} in metadata")
    if any(tensor.is_meta for tensor in tensors.values()):
        raise WeightsError("tensors on the meta device have no values to write", where=str(path))
    stored, tied = _split_tied(tensors)
    header = {"format": "pt", **(metadata or {}), DIGEST: NO_DIGEST}
    if tied:
        header[TIED] = json.dumps(tied, sort_keys=True)
    try:
        with atomic_write(path) as temporary:
            save_file(stored, temporary, header)
            _sort_header(temporary)
            write_digest(temporary)
    except safetensors.SafetensorError as error:
        hint = "Check the free space and the permissions of its folder; an older file there is untouched."
        raise WeightsError(f"cannot write: {error}", where=str(path), hint=hint) from error
    except CobraError as error:
        raise WeightsError(error.message, where=error.where, hint=error.hint) from error


def _sort_header(path: Path) -> None:
    """Puts the names of a file's metadata in order; the library sorts the tensors' names, but not these."""
    with open(path, "r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        if len(text) <= length:  # the rest of it is blanks; longer it cannot be, but a file must never be broken
            file.seek(8)
            file.write(text.ljust(length))


def _split_tied(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Returns tensors that share no memory, and which further names are the same as which stored one."""
    stored: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    names: dict[tuple[object, ...], str] = {}
    for name, tensor in tensors.items():
        key = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and key in names:
            tied[name] = names[key]
        else:
            names[key] = name
            stored[name] = tensor.detach()
    return _unshare(stored), tied


def _unshare(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns contiguous tensors; overlapping views of one storage, which safetensors refuses, become copies."""
    out: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        out[name] = tensor.clone() if storage in storages else tensor
        out[name] = out[name].contiguous()
        storages.add(storage)
    return out
