"""Checkpoint files to tensors. No code in a file is ever run, and half a file is never taken for a whole one."""

from __future__ import annotations

import json
import logging
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from cobra_kit.arguments import file_path
from cobra_kit.errors import SHORTAGE_HINT, WeightsError, first_line, is_out_of_memory, is_shortage
from cobra_kit.weights.listing import listed
from cobra_kit.weights.memory import check_memory
from cobra_kit.weights.sections import split_sections

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

_log = logging.getLogger("cobra_kit.weights")

_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


class DamagedWeightsError(WeightsError):
    """The bytes of a checkpoint are wrong, whatever machine reads them; one that cannot be read is not that."""


@dataclass(frozen=True, slots=True)
class CheckpointTensors:
    """What a checkpoint holds.

    Args:
        weights: By name, on the CPU.
        left_out: Sections that are no weights, such as `optimizer`, and how many tensors each holds.
    """

    weights: dict[str, Tensor]
    left_out: dict[str, int] = field(default_factory=dict)


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Returns the weights of a checkpoint, on the CPU; what was left out of it is logged. See `read_checkpoint`."""
    read = read_checkpoint(path)
    for section, count in read.left_out.items():
        _log.warning("%s: left out: %s (%d tensors), which is not the weights", path, section, count)
    return read.weights


def read_checkpoint(path: str | Path) -> CheckpointTensors:
    """Returns the weights of a checkpoint, and what else it holds.

    Args:
        path: A `.safetensors` file; a PyTorch file (`.bin`, `.pt`, `.pth`, `.ckpt`), of which only tensors are read
            and nested mappings are flattened with dots (`{"model": {"w": ..}}` gives `model.w`), without what a
            training stores beside the weights (see `sections.py`); the `.index.json` of a sharded checkpoint; or a
            folder with one of `FILE_NAMES`.

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
    except (OSError, MemoryError) as error:
        raise _unreadable(file, error) from error
    except safetensors.SafetensorError as error:
        raise _damaged(file, error) from error


def _looked_for() -> str:
    return f"Looked for a file ({', '.join(('.safetensors', *_PICKLES))}) or a folder with {', '.join(FILE_NAMES)}."


def _find_in(folder: Path) -> Path:
    for name in FILE_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError("the folder holds no checkpoint", where=str(folder), hint=_looked_for())


def _load_file(path: Path) -> CheckpointTensors:
    if path.name.endswith(".index.json"):
        return _load_shards(path)
    if path.suffix == ".safetensors":
        return CheckpointTensors(_load_safetensors(path))
    if path.suffix in _PICKLES:
        return _load_pickle(path)
    raise WeightsError(
        f"no known form of checkpoint: {path.suffix or 'no suffix'}", where=str(path), hint=_looked_for()
    )


def _unreadable(path: Path, error: BaseException) -> WeightsError:
    """Returns the error for a file that may be well, but cannot be read here and now."""
    reason: object = error
    if is_out_of_memory(error):
        reason = "there is not enough memory, or address space, for it"
    elif isinstance(error, FileNotFoundError):  # safetensors calls every file that it cannot open missing
        try:
            path.open("rb").close()
        except OSError as own:
            reason, error = own, own
    hint = SHORTAGE_HINT if is_shortage(error) else None
    return WeightsError(f"cannot be read: {reason}", where=str(path), hint=hint)


def _damaged(path: Path, reason: object) -> WeightsError:
    size = path.stat().st_size
    return DamagedWeightsError(
        f"the checkpoint is truncated or damaged ({size:,} bytes): {reason}",
        where=str(path),
        hint="Fetch or write the file again.",
    )


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
        tied: dict[str, str] = json.loads(load_metadata(path).get(TIED, "{}"))
        return tensors | {alias: tensors[name] for alias, name in tied.items()}
    except (OSError, MemoryError) as error:
        raise _unreadable(path, error) from error
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def _load_pickle(path: Path) -> CheckpointTensors:
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
        raise _unreadable(path, error) from error
    except Exception as error:  # the reader raises almost any type on damaged files
        if is_shortage(error):
            raise _unreadable(path, error) from error
        raise _damaged(path, first_line(error)) from error
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"holds no named tensors but a {type(loaded).__name__}", where=str(path))
    weights, left_out = split_sections(loaded, where=str(path))
    if not weights:
        beside = f" beside {listed(sorted(left_out))}" if left_out else ""
        raise WeightsError(f"holds no named tensors but a {type(loaded).__name__}{beside}", where=str(path))
    return CheckpointTensors(weights, left_out)


def _refused(path: Path, error: UnpicklingError) -> WeightsError:
    asked = re.search(r"GLOBAL (\S+)", str(error))
    return WeightsError(
        f"refused: this pickle asks for {asked[1] if asked else 'code'}, and reading it could run anything",
        where=str(path),
        hint="Use a safetensors file of the same weights, or write the tensors alone on a machine you can lose:\n"
        "torch.save(torch.load(FILE, weights_only=False)['model'], NEW), or the section that they are in.",
    )


def _load_shards(index: Path) -> CheckpointTensors:
    try:
        places: dict[str, str] = json.loads(index.read_text("utf-8"))["weight_map"]
        files = sorted(set(places.values()))
        outside = [file for file in files if Path(file).name != file]
    except (OSError, MemoryError) as error:
        raise _unreadable(index, error) from error
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
    left_out: dict[str, int] = {}
    for file in files:
        shard = _load_file(index.parent / file)
        tensors |= shard.weights
        left_out |= shard.left_out
    lost = sorted(set(places) - set(tensors))
    if lost:
        raise _damaged(index, f"no shard holds {listed(lost)}")
    return CheckpointTensors(tensors, left_out)
