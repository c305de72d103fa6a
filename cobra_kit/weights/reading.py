"""Checkpoint files to tensors. No code in a file is ever run, and half a file is never taken for a whole one."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from cobra_kit.arguments import file_path
from cobra_kit.errors import WeightsError
from cobra_kit.weights.listing import listed
from cobra_kit.weights.memory import check_memory

FILE_NAMES = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
)
"""What is looked for in a folder, in this order."""

TIED = "cobra_kit.tied"
"""Key in a safetensors header: further names of stored tensors, as JSON."""

_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Returns the named tensors of a checkpoint, on the CPU.

    Args:
        path: A `.safetensors` file; a PyTorch file (`.bin`, `.pt`, `.pth`, `.ckpt`), of which only tensors are read
            and nested mappings are flattened with dots (`{"model": {"w": ..}}` gives `model.w`); the
            `.index.json` of a sharded checkpoint; or a folder with one of `FILE_NAMES`.

    Raises:
        WeightsError: The path is missing, damaged, of no known form, or a pickle with code in it.
    """
    path = file_path(path, "path")
    if path.is_dir():
        return _load_file(_find_in(path))
    if not path.exists():
        raise WeightsError("no such checkpoint", where=str(path), hint=_looked_for())
    return _load_file(path)


def load_metadata(path: str | Path) -> dict[str, str]:
    """Returns the strings in the header of a safetensors file.

    Raises:
        WeightsError: The file is missing, damaged, or no safetensors file.
    """
    file = file_path(path, "path")
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
        tied: dict[str, str] = json.loads(load_metadata(path).get(TIED, "{}"))
        return tensors | {alias: tensors[name] for alias, name in tied.items()}
    except OSError as error:
        raise WeightsError(f"cannot be read: {error}", where=str(path)) from error
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def _load_pickle(path: Path) -> dict[str, Tensor]:
    # Mapped, as safetensors files are: what nobody looks at (a text tower) is never read. The older form cannot be.
    mapped = zipfile.is_zipfile(path)
    if not mapped:
        check_memory(path.stat().st_size, where=str(path))
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
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
        raise WeightsError(f"a shard lies outside the folder: {listed(outside)}", where=str(index))
    absent = [file for file in files if not (index.parent / file).is_file()]
    if absent:
        hint = "Fetch the missing files into the same folder."
        raise WeightsError(
            f"{len(absent)} of {len(files)} shards are missing: {listed(absent)}", where=str(index), hint=hint
        )
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors |= _load_file(index.parent / file)
    lost = sorted(set(places) - set(tensors))
    if lost:
        raise _damaged(index, f"no shard holds {listed(lost)}")
    return tensors
