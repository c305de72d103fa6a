"""What changed in a file of weights after it was written is noticed when it is opened."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from cobra_kit.errors import DamagedWeightsError, WeightsError
from cobra_kit.weights import digests, load_metadata, load_tensors, save_tensors

TENSORS = {"a.weight": torch.arange(60.0).reshape(6, 10), "b.weight": torch.ones(6, 10), "tied": torch.ones(3)}


def written(path: Path) -> bytes:
    save_tensors(path, TENSORS, {"made": "here"})
    return path.read_bytes()


def refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(
        DamagedWeightsError, match=r"truncated or damaged .*\n +Fetch or write the file again"
    ) as caught:
        load_tensors(path)
    assert str(path) in str(caught.value)


def flipped(content: bytes, place: int, bit: int = 0) -> bytes:
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_flipped_bit(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    # Within the digest's own name a bit makes it a file without one, in which nothing else has changed.
    path = tmp_path_factory.mktemp("flip") / "w.safetensors"
    content = written(path)
    own_name = content.index(digests.DIGEST.encode())
    places = [i for i in range(len(content)) if not own_name <= i < own_name + len(digests.DIGEST)]
    refused(path, flipped(content, data.draw(st.sampled_from(places)), data.draw(st.integers(0, 7))))


def test_39_flipped_bytes_of_tensors(tmp_path: Path) -> None:
    content = written(tmp_path / "w.safetensors")
    start = 8 + struct.unpack("<Q", content[:8])[0]
    for i in range(39):
        content = flipped(content, start + 12 * i)
    assert load_file_of(content, tmp_path).keys() == TENSORS.keys(), "the library takes it"
    refused(tmp_path / "w.safetensors", content)


def load_file_of(content: bytes, folder: Path) -> dict[str, torch.Tensor]:
    (folder / "other.safetensors").write_bytes(content)
    return load_file(folder / "other.safetensors")


def test_two_tensors_that_changed_places(tmp_path: Path) -> None:
    content = written(tmp_path / "w.safetensors")
    swapped = content.replace(b"a.w", b"?.w").replace(b"b.w", b"a.w").replace(b"?.w", b"b.w")
    assert torch.equal(load_file_of(swapped, tmp_path)["a.weight"], TENSORS["b.weight"]), "the library takes it"
    refused(tmp_path / "w.safetensors", swapped)


def test_changed_metadata_zeros_and_missing_ends(tmp_path: Path) -> None:
    content = written(tmp_path / "w.safetensors")
    start = 8 + struct.unpack("<Q", content[:8])[0]
    for damaged in (
        content.replace(b'"here"', b'"hera"'),
        content[:start] + bytes(len(content) - start),
        content[:-4],
        content + b"\0",
        bytes(len(content)),
    ):
        refused(tmp_path / "w.safetensors", damaged)


def test_every_shard_of_a_large_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_SHARD", 64)
    monkeypatch.setattr(digests, "_BLOCK", 24)
    content = written(tmp_path / "w.safetensors")
    assert load_tensors(tmp_path / "w.safetensors").keys() == TENSORS.keys()
    for place in range(len(content) - 480, len(content), 64):
        refused(tmp_path / "w.safetensors", flipped(content, place))
    half = 64 * (len(content) // 128)
    refused(tmp_path / "w.safetensors", content[:-half] + content[-half + 64 :] + content[-half : -half + 64])


def test_files_without_a_digest_are_opened(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "old.safetensors", {"format": "pt"})
    assert load_tensors(tmp_path / "old.safetensors").keys() == TENSORS.keys()


def test_the_digest_is_no_metadata_of_the_user_s(tmp_path: Path) -> None:
    save_tensors(tmp_path / "w.safetensors", TENSORS, {digests.DIGEST: "mine", "x": "1"})
    assert load_metadata(tmp_path / "w.safetensors") == {"format": "pt", "x": "1"}
    length = struct.unpack("<Q", (tmp_path / "w.safetensors").read_bytes()[:8])[0]
    header = json.loads((tmp_path / "w.safetensors").read_bytes()[8 : 8 + length])
    assert len(header["__metadata__"][digests.DIGEST]) == 64


def test_the_remedy_works(tmp_path: Path) -> None:
    content = written(tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(flipped(content, len(content) - 1))
    with pytest.raises(WeightsError, match="write the file again"):
        load_tensors(tmp_path / "w.safetensors")
    written(tmp_path / "w.safetensors")
    assert torch.equal(load_tensors(tmp_path / "w.safetensors")["tied"], TENSORS["tied"])
