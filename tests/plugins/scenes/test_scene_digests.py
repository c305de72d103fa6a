"""A drawn world that is not what was drawn is noticed, the error names the file, and its remedy works."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cobra_kit.data import sections
from cobra_kit.errors import CobraError, DataError
from cobra_kit_scenes import SceneDataset, SceneParams, scenes_dataset
from cobra_kit_scenes.source import ScenesSource

PARAMS = SceneParams.checked(train=12, val=6, test=6)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "SECTION_BYTES", 30_000)
        return scenes_dataset(PARAMS, tmp_path_factory.mktemp("world"), workers=0).folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    place = tmp_path / "scenes" / whole.name
    shutil.copytree(whole, place)
    return place


def read_everything(folder: Path) -> list[Any]:
    world = SceneDataset(folder)
    source = ScenesSource(world)
    seen: list[Any] = [source.rows, source.caption_rows, source.benchmarks("val"), source.benchmarks("test")]
    for split in world.splits:
        seen += [world.scenes(split), world.pixels(split).tobytes()]
    return seen


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def flip(content: bytes) -> bytes:
    place = len(content) * 2 // 3
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "flipped": flip,
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "longer": lambda content: content + b" ",
}


def refused(folder: Path, name: str) -> CobraError:
    with pytest.raises(CobraError) as caught:
        read_everything(folder)
    assert str(folder) in str(caught.value)
    if name != "manifest.json":
        assert isinstance(caught.value, DataError)
        assert name in str(caught.value)
        assert f"Delete the folder {folder}" in str(caught.value.hint)
    return caught.value


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_every_file(folder: Path, damage: str) -> None:
    for name in files(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(DAMAGES[damage](content))
        if (name, damage) == ("manifest.json", "longer"):  # a blank behind JSON changes nothing
            assert read_everything(folder)
        else:
            refused(folder, name)
        (folder / name).write_bytes(content)
    assert read_everything(folder)


def test_files_that_are_missing_or_pipes(folder: Path) -> None:
    for name in files(folder):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        refused(folder, name)
        os.mkfifo(folder / name)
        refused(folder, name)
        (folder / name).unlink()
        (folder / name).write_bytes(content)


def test_two_splits_that_changed_places(folder: Path) -> None:
    for name in ("images.npy", "vsr.jsonl"):
        (folder / "val" / name).rename(folder / "aside")
        (folder / "test" / name).rename(folder / "val" / name)
        (folder / "aside").rename(folder / "test" / name)
    assert "digest differs" in refused(folder, "").message


def test_the_remedy_works_for_the_world_in_the_cache(folder: Path, whole: Path) -> None:
    (folder / "train" / "images.npy").write_bytes(flip((folder / "train" / "images.npy").read_bytes()))
    cache = folder.parents[1]
    world = scenes_dataset(PARAMS, cache, workers=0)
    with pytest.raises(DataError, match="Delete the folder"):
        world.pixels("train")
    shutil.rmtree(folder)
    again = scenes_dataset(PARAMS, cache, workers=0)
    assert again.folder == folder
    assert np.array_equal(again.pixels("train"), SceneDataset(whole).pixels("train"))


def test_an_image_is_checked_with_those_around_it_and_no_others(folder: Path) -> None:
    content = bytearray((folder / "train" / "images.npy").read_bytes())
    content[-1] ^= 1
    (folder / "train" / "images.npy").write_bytes(content)
    world = SceneDataset(folder)
    assert world.array("scenes_train_000000000000.png").shape == (64, 64, 3)
    with pytest.raises(DataError, match=r"train/images\.npy: the drawn world is damaged: .* the digest differs"):
        world.array("scenes_train_000000000011.png")


def test_a_world_that_was_drawn_before_there_were_digests(folder: Path, whole: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"], manifest["sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert str(read_everything(folder)[:4]) == str(read_everything(whole)[:4])
    assert scenes_dataset(PARAMS, folder.parents[1], workers=0).folder == folder
    (folder / "val" / "vqav2_questions.json").write_text("[" * 100_000)
    (folder / "train" / "llava.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"llava\.json: the drawn world is damaged: nested more than 100 levels deep"):
        read_everything(folder)
