"""Checkpoints to tensors and back, safely: no code is run, nothing is half loaded, nothing is half written.

Public, so that no plugin carries its own copy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cobra_kit.errors import CobraError, WeightsError
from cobra_kit.store import atomic_write

FILE_NAMES = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
)
"""What is looked for in a folder, in this order."""

_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_TIED = "cobra_kit.tied"
_SHOWN = 5


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Returns the named tensors of a checkpoint, on the CPU.

    Args:
        path: A `.safetensors` file; a PyTorch file (`.bin`, `.pt`, `.pth`, `.ckpt`), of which only tensors are read
            and nested mappings are flattened with dots (`{"model": {"w": ..}}` gives `model.w`); the
            `.index.json` of a sharded checkpoint; or a folder with one of `FILE_NAMES`.

    Raises:
        WeightsError: The path is missing, damaged, of no known form, or a pickle with code in it.
    """
    path = Path(path)
    if path.is_dir():
        return _load_file(_find_in(path))
    if not path.exists():
        raise WeightsError("no such checkpoint", where=str(path), hint=_looked_for())
    return _load_file(path)


def load_into(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    source: str,
    prefix: str = "",
    allow_missing: Sequence[str] = (),
    allow_extra: Sequence[str] = (),
) -> None:
    """Copies tensors into the parameters and persistent buffers of `module`, all of them or none.

    Values are converted to the module's dtypes. Of tied parameters one name is enough.

    Args:
        module: Where to; its tensors are allocated already.
        tensors: By name, as `load_tensors` returns them.
        source: Where they come from, for messages.
        prefix: Only names that begin with it are used, without it; the others belong to somebody else.
        allow_missing: Patterns (`fnmatch`) of module names that the checkpoint need not have; they keep their values.
        allow_extra: Patterns of checkpoint names (after the prefix) that are left out.

    Raises:
        WeightsError: Tensors are missing, extra, of another shape or number type; one message names them all.
    """
    given = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    if prefix and not given:
        hint = f"It has {_names(sorted(tensors))}."
        raise WeightsError(f"no tensor's name begins with {prefix!r}", where=source, hint=hint)
    wanted = {n: t for n, t in module.state_dict(keep_vars=True).items() if isinstance(t, Tensor)}
    extra = sorted(name for name in given if name not in wanted and not _any_match(name, allow_extra))
    missing = [name for name in _missing(wanted, given) if not _any_match(name, allow_missing)]
    pairs = [(name, wanted[name], given[name]) for name in wanted if name in given]
    problems = [
        *_problem("missing", missing),
        *_problem("extra", extra),
        *_problem("of another shape", list(_misshaped(pairs))),
        *_problem("of another number type", list(_mistyped(pairs))),
        *_problem("tied in the model but not in the checkpoint", list(_untied(pairs))),
    ]
    if problems:
        fits = len(pairs)
        raise WeightsError(
            f"the checkpoint does not fit {type(module).__name__} ({fits} of {len(wanted)} names found)",
            where=source,
            hint="\n".join([*problems, "Check that the config describes the model that the checkpoint was made from."]),
        )
    if any(tensor.is_meta for _, tensor, _ in pairs):
        raise WeightsError("the module is on the meta device", where=source, hint="Allocate it first: to_empty.")
    with torch.no_grad():
        for _, target, value in pairs:
            target.copy_(value)


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors as safetensors: beside `path` first, flushed to the disk, then renamed.

    Tied tensors are stored once; `load_tensors` gives them back under all their names.

    Args:
        path: The file; its folder must exist. What stood there stays whole if writing fails.
        tensors: By name, on any device.
        metadata: Strings for the header.

    Raises:
        WeightsError: The file cannot be written.
    """
    if any(tensor.is_meta for tensor in tensors.values()):
        raise WeightsError("tensors on the meta device have no values to write", where=str(path))
    stored, tied = _split_tied(tensors)
    header = {"format": "pt", **(metadata or {})}
    if tied:
        header[_TIED] = json.dumps(tied)
    try:
        with atomic_write(path) as temporary:
            save_file(stored, temporary, header)
    except safetensors.SafetensorError as error:
        hint = "Check the free space and the permissions of its folder; an older file there is untouched."
        raise WeightsError(f"cannot write: {error}", where=str(path), hint=hint) from error
    except CobraError as error:
        raise WeightsError(error.message, where=error.where, hint=error.hint) from error


def load_metadata(path: str | Path) -> dict[str, str]:
    """Returns the strings in the header of a safetensors file.

    Raises:
        WeightsError: The file is missing, damaged, or no safetensors file.
    """
    file = Path(path)
    try:
        with safetensors.safe_open(file, "pt") as opened:
            return dict(opened.metadata() or {})
    except OSError as error:
        raise WeightsError(f"cannot be read: {error}", where=str(file)) from error
    except safetensors.SafetensorError as error:
        raise _damaged(file, error) from error


def _looked_for() -> str:
    return f"Looked for a file ({', '.join(('.safetensors', *_PICKLES))}) or a folder with {', '.join(FILE_NAMES)}."


def _find_in(folder: Path) -> Path:
    for name in FILE_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError("the folder holds no checkpoint", where=str(folder), hint=_looked_for())


def _load_file(path: Path) -> dict[str, Tensor]:
    if path.name.endswith(".index.json"):
        return _load_shards(path)
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    if path.suffix in _PICKLES:
        return _load_pickle(path)
    raise WeightsError(
        f"no known form of checkpoint: {path.suffix or 'no suffix'}", where=str(path), hint=_looked_for()
    )


def _damaged(path: Path, reason: object) -> WeightsError:
    size = path.stat().st_size
    return WeightsError(
        f"the checkpoint is truncated or damaged ({size:,} bytes): {reason}",
        where=str(path),
        hint="Fetch or write the file again.",
    )


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
        tied: dict[str, str] = json.loads(load_metadata(path).get(_TIED, "{}"))
        return tensors | {alias: tensors[name] for alias, name in tied.items()}
    except OSError as error:
        raise WeightsError(f"cannot be read: {error}", where=str(path)) from error
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def _load_pickle(path: Path) -> dict[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if "global" in str(error).lower():
            raise _refused(path, error) from error
        raise _damaged(path, "no PyTorch file of tensors alone; another pickle is never read") from error
    except PermissionError as error:
        raise WeightsError(f"cannot be read: {error}", where=str(path)) from error
    except Exception as error:  # the reader raises almost any type on damaged files
        raise _damaged(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    tensors = dict(_flatten(loaded)) if isinstance(loaded, Mapping) else {}
    if not tensors:
        raise WeightsError(f"holds no named tensors but a {type(loaded).__name__}", where=str(path))
    return tensors


def _refused(path: Path, error: UnpicklingError) -> WeightsError:
    asked = re.search(r"GLOBAL (\S+)", str(error))
    return WeightsError(
        f"refused: this pickle asks for {asked[1] if asked else 'code'}, and reading it could run anything",
        where=str(path),
        hint="Use a safetensors file of the same weights, or make one from this file on a machine you can lose.",
    )


def _flatten(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for key, value in tree.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{key}", value.detach()
        elif isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")


def _load_shards(index: Path) -> dict[str, Tensor]:
    try:
        places: dict[str, str] = json.loads(index.read_text("utf-8"))["weight_map"]
        files = sorted(set(places.values()))
        outside = [file for file in files if Path(file).name != file]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(index, f"no weight_map in it ({error})") from error
    if outside:
        raise WeightsError(f"a shard lies outside the folder: {_names(outside)}", where=str(index))
    absent = [file for file in files if not (index.parent / file).is_file()]
    if absent:
        hint = "Fetch the missing files into the same folder."
        raise WeightsError(
            f"{len(absent)} of {len(files)} shards are missing: {_names(absent)}", where=str(index), hint=hint
        )
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors |= _load_file(index.parent / file)
    lost = sorted(set(places) - set(tensors))
    if lost:
        raise _damaged(index, f"no shard holds {_names(lost)}")
    return tensors


def _missing(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Returns wanted names that are not given, neither themselves nor under a tied name."""
    filled = {id(tensor) for name, tensor in wanted.items() if name in given}
    return [name for name, tensor in wanted.items() if name not in given and id(tensor) not in filled]


_Pairs = Sequence[tuple[str, Tensor, Tensor]]


def _misshaped(pairs: _Pairs) -> Iterator[str]:
    for name, target, value in pairs:
        if target.shape != value.shape:
            yield f"{name} is {list(value.shape)} in the checkpoint, {list(target.shape)} in the model"


def _mistyped(pairs: _Pairs) -> Iterator[str]:
    """Yields names whose conversion would change the meaning: integers (quantised weights, ids) against reals."""
    for name, target, value in pairs:
        if target.is_floating_point() != value.is_floating_point() or target.is_complex() != value.is_complex():
            yield f"{name} is {value.dtype} in the checkpoint, {target.dtype} in the model"


def _untied(pairs: _Pairs) -> Iterator[str]:
    """Yields names that are one tensor in the model and differ in the checkpoint."""
    first: dict[int, tuple[str, Tensor]] = {}
    for name, target, value in pairs:
        other, seen = first.setdefault(id(target), (name, value))
        if seen is not value and seen.shape == value.shape and not torch.equal(seen, value):
            yield f"{other} and {name}"


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


def _any_match(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _names(names: Sequence[str], separator: str = ", ") -> str:
    more = f"{separator}and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return separator.join(names[:_SHOWN]) + more


def _problem(what: str, names: Sequence[str]) -> list[str]:
    return [f"{len(names)} {what}: {_names(names, '; ' if ' ' in ''.join(names) else ', ')}"] if names else []
