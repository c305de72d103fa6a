"""Checkpoint files to tensors. No code in a file is ever run, and half a file is never taken for a whole one."""

from __future__ import annotations

import logging
import re
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from cobra_kit.arguments import file_path
from cobra_kit.errors import (
    SHORTAGE_HINT,
    DamagedFile,
    DamagedWeightsError,
    UnreadableFile,
    WeightsError,
    first_line,
    is_out_of_memory,
    is_shortage,
)
from cobra_kit.files import parse_json, read_mapping
from cobra_kit.weights.digests import DIGEST, is_intact
from cobra_kit.weights.listing import listed
from cobra_kit.weights.memory import check_memory
from cobra_kit.weights.pickle_stand_ins import OversizedError
from cobra_kit.weights.pytorch_files import describe
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
_MOST_HEADER = 32 << 20
_MOST_INDEX = 32 << 20
_REMEDY = "Fetch or write the file again."


@dataclass(frozen=True, slots=True)
class CheckpointTensors:
    """The contents of a checkpoint.

    Args:
        weights: Tensors by name, on the CPU.
        left_out: Sections that are no weights, such as `optimizer`, and how many tensors each holds.
    """

    weights: dict[str, Tensor]
    left_out: dict[str, int] = field(default_factory=dict)


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Returns a checkpoint's weights, of any shape, on the CPU; what was left out is logged. See `read_checkpoint`."""
    read = read_checkpoint(path)
    for section, count in read.left_out.items():
        _log.warning("%s: left out: %s (%d tensors), which is not the weights", path, listed([section]), count)
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
    """Returns the strings in the header of a safetensors file, but for its digest, which `load_tensors` checks.

    Raises:
        WeightsError: The file is missing, damaged, or no safetensors file.
    """
    return {key: value for key, value in _whole_metadata(path).items() if key != DIGEST}


def has_digest(path: str | Path) -> bool:
    """Returns whether a safetensors file carries a digest, which `load_tensors` checks.

    Raises:
        WeightsError: The file is missing, damaged, or no safetensors file.
    """
    return DIGEST in _whole_metadata(path)


def _whole_metadata(path: str | Path) -> dict[str, str]:
    file = file_path(path, "path")
    try:
        _check_header(file)
        return _metadata(file)
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


def _damaged(path: Path, reason: object, hint: str = _REMEDY) -> WeightsError:
    size = path.stat().st_size
    return DamagedWeightsError(
        f"the checkpoint is truncated or damaged ({size:,} bytes): {reason}",
        where=str(path),
        hint=hint,
    )


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except DamagedFile as error:
        raise _damaged(path, error.message) from error
    except UnreadableFile as error:
        raise WeightsError(error.message, where=str(path), hint=error.hint) from error


def _check_regular(path: Path) -> int:
    """Returns the size of a file that can be opened without waiting, as a pipe or a device cannot.

    Raises:
        WeightsError: It is no regular file, or not there.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot be read: {getattr(error, 'strerror', error)}", where=str(path)) from error
    if not stat.S_ISREG(status.st_mode):
        raise WeightsError(
            "is a folder, a pipe or a device, not a file", where=str(path), hint="Name the file with the weights."
        )
    return status.st_size


def _check_header(path: Path) -> None:
    """Refuses a safetensors file whose header is longer than any, before it is read."""
    size = _check_regular(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if min(length, size) > _MOST_HEADER:
        raise _damaged(path, f"its header says that it has {length:,} bytes")


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        _check_header(path)
        tensors = load_file(path)
        metadata = _metadata(path)
        # Behind the library's own checks of the header, which the digest is found in.
        if DIGEST in metadata and not is_intact(path):
            raise _damaged(
                path,
                "its content is not what was written: the digest differs",
                f"{_REMEDY} Where a program changed it on purpose, it must leave {DIGEST} out of the header.",
            )
        return tensors | {alias: tensors[name] for alias, name in _tied(path, metadata, tensors).items()}
    except (OSError, MemoryError) as error:
        raise _unreadable(path, error) from error
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def _metadata(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, "pt") as opened:
        return dict(opened.metadata() or {})


def _tied(path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Returns which further names are the same as which stored one."""
    with _damage(path):
        tied = parse_json(metadata.get(TIED, "{}"), path)
    right = isinstance(tied, dict) and all(isinstance(name, str) and name in tensors for name in tied.values())
    if not right or not tied.keys().isdisjoint(tensors):
        raise _damaged(path, f"{TIED} in its header does not fit its tensors")
    return dict(tied)


def _load_pickle(path: Path) -> CheckpointTensors:
    size = _check_regular(path)
    try:
        described = describe(path)
        # Mapped, as safetensors files are: what nobody looks at (an optimiser) is never read. The older form cannot be.
        if not described.is_zip:
            check_memory(size, where=str(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=described.is_zip)
    except OversizedError as error:
        raise _damaged(path, error.message) from error
    except zipfile.BadZipFile as error:
        raise _damaged(path, error) from error
    except WeightsError:
        raise
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
    if damaged := described.damaged_records(left_out):
        raise _damaged(path, f"not what was written, their checksums differ: {listed(damaged)}")
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
    places = _places(index)
    files = sorted(set(places.values()))
    outside = [file for file in files if Path(file).name != file]
    if outside:
        raise WeightsError(f"a shard lies outside the folder: {listed(outside)}", where=str(index), hint=_REMEDY)
    if others := [file for file in files if file.endswith(".index.json")]:
        raise _damaged(index, f"names an index as a shard: {listed(others)}")
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
        elsewhere = sorted(name for name in shard.weights if places.get(name, file) != file)
        if elsewhere:
            raise _damaged(index, f"it says that other shards than {file} hold {listed(elsewhere)}")
        tensors |= shard.weights
        left_out |= shard.left_out
    lost = sorted(set(places) - set(tensors))
    if lost:
        raise _damaged(index, f"no shard holds {listed(lost)}")
    return CheckpointTensors(tensors, left_out)


def _places(index: Path) -> dict[str, str]:
    """Returns which file of a folder holds which tensor, as an index says."""
    with _damage(index):
        places = read_mapping(index, _MOST_INDEX).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        raise _damaged(index, "no weight_map in it")
    return places
