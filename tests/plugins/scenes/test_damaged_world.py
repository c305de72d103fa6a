"""A drawn world that somebody damaged: the file is named, and drawing it again helps."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cobra_kit.errors import CobraError
from cobra_kit.files import without_seal
from cobra_kit_scenes.dataset import SceneDataset, scenes_dataset
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.source import ScenesSource

PARAMS = SceneParams.checked(train=12, val=4, test=4)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes_dataset(PARAMS, cache_dir=tmp_path_factory.mktemp("drawn"), workers=0).folder


@pytest.fixture(params=["with digests", "without"])
def world(drawn: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy to spoil, in a cache of its own."""
    copy = Path(shutil.copytree(drawn, tmp_path / "scenes" / drawn.name))
    if request.param == "without":
        manifest = without_seal(json.loads((copy / "manifest.json").read_text("utf-8")))
        del manifest["files"]
        (copy / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return copy


def use(world: Path) -> None:
    source = ScenesSource(SceneDataset(world))
    _ = source.rows, source.caption_rows
    source.benchmarks("test")
    source.image(source.image_ids("train")[0])


def _as_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


SPOILED: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "missing": lambda file: file.unlink(),
    "zeros": lambda file: file.write_bytes(bytes(4096)),
    "deep": lambda file: file.write_bytes(b"[" * 100_000),
    "other": lambda file: file.write_text(json.dumps([{"a": 1}, "x", None])),
    "pipe": _as_pipe,
}


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize(
    "name",
    [
        "train/llava.json",
        "train/slices.json",
        "train/scenes.jsonl",
        "train/images.npy",
        "test/vqav2_questions.json",
        "test/vqav2_annotations.json",
        "test/vsr.jsonl",
        "test/refcoco.json",
    ],
)
def test_a_damaged_file_is_named(world: Path, name: str, how: str) -> None:
    SPOILED[how](world / name)
    with pytest.raises(CobraError, match="the drawn world is damaged") as caught:
        use(world)
    assert str(world) in str(caught.value)
    assert f"Delete the folder {world}; it is drawn again when" in str(caught.value)


def test_what_the_error_says_helps(world: Path) -> None:
    (world / "train" / "llava.json").write_bytes(b"")
    shutil.rmtree(world)
    again = scenes_dataset(PARAMS, cache_dir=world.parent.parent, workers=0)
    assert again.folder == world
    use(world)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"params": 3}', bytes(100)])
def test_a_damaged_manifest_is_no_finished_world_and_is_drawn_again(world: Path, content: bytes) -> None:
    (world / "manifest.json").write_bytes(content)
    with pytest.raises(CobraError, match="no finished scenes here"):
        SceneDataset(world)
    use(scenes_dataset(PARAMS, cache_dir=world.parent.parent, workers=0).folder)
