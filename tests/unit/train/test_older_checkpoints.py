"""Checkpoints that were written before their files carried digests are still read, and still checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cobra_kit.errors import TrainingError
from cobra_kit.train.checkpoint import Checkpoints

TENSORS = {"a": torch.arange(6.0)}
CRC = "75611193"  # of the name and the bytes above, by zlib.crc32
STATE = {"cobra_kit.state": '{"step": 2}'}


def test_its_checksum_is_held_against_its_tensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "1.safetensors", {**STATE, "cobra_kit.crc32": CRC})
    assert Checkpoints(tmp_path).read("1").state == {"step": 2}


@pytest.mark.parametrize("metadata", [STATE, {**STATE, "cobra_kit.crc32": "deadbeef"}])
def test_neither_digest_nor_the_right_checksum_is_damage(tmp_path: Path, metadata: dict[str, str]) -> None:
    save_file(TENSORS, tmp_path / "1.safetensors", metadata)
    with pytest.raises(TrainingError, match="its checksum is wrong"):
        Checkpoints(tmp_path).read("1")
