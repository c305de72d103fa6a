"""Everything a stage needs to go on after a kill, in one file; the previous file stays until the new one is whole.

Tensors (what is trained, the optimiser's state, the random state) are safetensors, everything else is JSON in the
header. No pickle, so a run folder from elsewhere can be read without running its code.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cobra_kit.errors import CobraError, DamagedWeightsError, TrainingError, WeightsError
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.files import as_mapping, damage_as, parse_json
from cobra_kit.weights import load_metadata, load_tensors, save_tensors
from cobra_kit.weights.reading import has_digest

KEPT = 2
"""Checkpoints that are kept: the newest, and the one before it in case the newest is damaged."""

_STATE, _CHECKSUM = "cobra_kit.state", "cobra_kit.crc32"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved state: `tensors` by name, and `state` as JSON had it."""

    path: Path
    tensors: dict[str, Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, in a folder of their own. One process at a time.

    Args:
        folder: Where they are; it is made.
        report: Told about damaged files.

    Raises:
        TrainingError: The folder cannot be made.
    """

    def __init__(self, folder: Path, report: Reporter = silent) -> None:
        self._folder, self._report = folder, report
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob(".*"):  # of a process that was killed while it wrote
                leftover.unlink()
        except OSError as error:
            raise TrainingError(f"checkpoints cannot be written: {error}", where=str(folder)) from error

    def files(self) -> list[Path]:
        """Returns the checkpoints, oldest first."""
        return sorted(self._folder.glob("*.safetensors"))

    def save(self, name: str, tensors: Mapping[str, Tensor], state: Mapping[str, Any], keep: str | None = None) -> Path:
        """Writes a checkpoint, then removes all but the newest `KEPT`.

        Args:
            name: Later checkpoints have later names, in the order of text.
            tensors: Tensors of any shape by name.
            state: Anything that JSON has.
            keep: Name of an older one that stays too.

        Raises:
            TrainingError: It cannot be written, as on a full disk; earlier checkpoints are untouched.
        """
        path = self._folder / f"{name}.safetensors"
        metadata = {_STATE: json.dumps(state, allow_nan=False)}
        try:
            save_tensors(path, tensors, metadata)
        except CobraError as error:
            kept = self.files()
            safe = f"{kept[-1].name} is whole; " if kept else ""
            raise TrainingError(
                f"the checkpoint cannot be written: {error.message}",
                where=str(path),
                hint=f"Make room on the disk. {safe}the same command goes on from there.",
            ) from error
        # Only now that the new one is whole on the disk.
        for old in self.files()[:-KEPT]:
            if old.stem != keep:
                old.unlink(missing_ok=True)
        return path

    def read(self, name: str) -> Checkpoint:
        """Returns the checkpoint of this name.

        Raises:
            TrainingError: It is not there, or damaged.
        """
        path = self._folder / f"{name}.safetensors"
        try:
            return _read(path)
        except WeightsError as error:
            raise TrainingError(
                f"the checkpoint with the best weights cannot be read: {error.message}",
                where=str(path),
                hint="Delete the run's folder to train it again, or set evaluate.validation.keep to last.",
            ) from error

    def newest(self) -> Checkpoint | None:
        """Returns the newest checkpoint that is whole, or None where there is none at all.

        A damaged one is put aside as `<name>.damaged`, with a warning, and the one before it is taken.

        Raises:
            TrainingError: There are checkpoints, and all of them are damaged; or the newest cannot be read at the
                moment, which is no damage, so none before it is taken.
        """
        files = self.files()
        for path in reversed(files):
            try:
                return _read(path)
            except DamagedWeightsError as error:
                aside = path.rename(path.with_name(f"{path.name}.damaged"))
                text = f"{path.name} is damaged and was put aside as {aside.name}: {error.message}"
                self._report(Message(text=text, level="warning"))
            except WeightsError as error:
                raise TrainingError(
                    f"the newest checkpoint {error.message}",
                    where=str(path),
                    hint=f"{error.hint or 'Mend that first.'}\nThe same command then goes on from this checkpoint.",
                ) from error
        if files:
            raise TrainingError(
                "every checkpoint of this run is damaged",
                where=str(self._folder),
                hint="Delete it and give the same command again: the training starts over.",
            )
        return None


def _read(path: Path) -> Checkpoint:
    tensors, metadata = load_tensors(path), load_metadata(path)
    # The digest of a file that has one was checked as it was read. Older files have a checksum instead, or are damaged.
    if (_CHECKSUM in metadata or not has_digest(path)) and metadata.get(_CHECKSUM) != _checksum(tensors):
        raise DamagedWeightsError("its checksum is wrong", where=str(path))
    if _STATE not in metadata:
        raise DamagedWeightsError("it holds weights, and nothing of where training stood", where=str(path))
    with damage_as(DamagedWeightsError):
        return Checkpoint(path, tensors, as_mapping(parse_json(metadata[_STATE], path), path))


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """Returns the CRC-32 of all bytes that checkpoints had before their files carried digests."""
    value = 0
    for name, tensor in sorted(tensors.items()):
        value = zlib.crc32(name.encode(), value)
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        value = zlib.crc32(flat.view(torch.uint8).numpy().data, value)
    return f"{value:08x}"
