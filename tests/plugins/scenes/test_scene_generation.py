"""Making a world: the same files however it is made, whole or not at all, and errors that can be understood."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cobra_kit.cli.data import app
from cobra_kit.errors import CobraError, ImageError
from cobra_kit_scenes import (
    SceneDataset,
    SceneParams,
    cache_key,
    draw,
    generate,
    images,
    scenes_dataset,
    user_cache,
)
from cobra_kit_scenes.generation import GENERATOR_VERSION

SMALL: dict[str, Any] = {"seed": 3, "train": 250, "val": 30, "test": 40, "towers": 20}


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SceneDataset:
    return scenes_dataset(SceneParams.checked(**SMALL), tmp_path_factory.mktemp("small"), workers=0)


@pytest.mark.parametrize("workers", [1, 3])
def test_files_do_not_depend_on_the_number_of_processes(small: SceneDataset, tmp_path: Path, workers: int) -> None:
    generate(SceneParams.checked(**SMALL), tmp_path / "world", workers=workers)
    assert digests(tmp_path / "world") == digests(small.folder)


def test_an_image_does_not_depend_on_how_many_there_are(small: SceneDataset, tmp_path: Path) -> None:
    generate(SceneParams.checked(**{**SMALL, "train": 10, "towers": 5}), tmp_path / "fewer")
    fewer = SceneDataset(tmp_path / "fewer")
    assert np.array_equal(fewer.pixels("train"), small.pixels("train")[:10])
    assert fewer.rows == small.rows[: len(fewer.rows)]


def test_another_seed_gives_other_images_and_another_key(small: SceneDataset, tmp_path: Path) -> None:
    params = SceneParams.checked(**{**SMALL, "seed": 4})
    other = scenes_dataset(params, tmp_path, workers=0)
    assert other.folder.name == cache_key(params) != small.folder.name
    assert not np.array_equal(other.pixels("val"), small.pixels("val"))


def test_reading(small: SceneDataset) -> None:
    train = small.pixels("train")
    assert train.shape == (250, 64, 64, 3)
    assert isinstance(train, np.memmap)
    assert not train.flags.writeable
    scenes = small.scenes("towers")
    assert len(scenes) == 20
    assert np.array_equal(small.array("scenes_towers_000000000007.png"), draw(scenes[7]))
    image = small.image(small.rows[0]["image"])
    assert (image.mode, image.size) == ("RGB", (64, 64))


def test_progress_counts_images_and_a_second_use_draws_nothing(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    params = SceneParams.checked(train=450, val=5, test=5)
    first = scenes_dataset(params, tmp_path, lambda done, total: seen.append((done, total)), workers=2)
    assert seen[-1] == (460, 460)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    seen.clear()
    assert scenes_dataset(params, tmp_path, lambda *values: seen.append(values)).folder == first.folder
    assert seen == []


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "ours"))
    assert user_cache() == tmp_path / "ours"
    monkeypatch.delenv("COBRA_KIT_CACHE")
    assert user_cache() == tmp_path / "xdg" / "cobra-kit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache" / "cobra-kit"


def test_the_key_covers_parameters_and_library_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    params = SceneParams.checked()
    keys = {cache_key(params), cache_key(SceneParams.checked(turns=4))}
    monkeypatch.setattr("PIL.__version__", "0.0")
    keys.add(cache_key(params))
    monkeypatch.setattr("cobra_kit_scenes.generation.freetype_version", lambda: "0.0")
    keys.add(cache_key(params))
    monkeypatch.setattr("cobra_kit_scenes.generation.GENERATOR_VERSION", -1)
    keys.add(cache_key(params))
    assert len(keys) == 5


def test_the_order_of_the_weights_changes_nothing(tmp_path: Path) -> None:
    weights = {"color": 1.0, "count": 2.0}
    first = scenes_dataset(SceneParams.checked(train=40, val=0, test=0, abilities=weights), tmp_path / "1")
    other = dict(reversed(weights.items()))
    second = scenes_dataset(SceneParams.checked(train=40, val=0, test=0, abilities=other), tmp_path / "2")
    assert (first.folder.name, first.rows) == (second.folder.name, second.rows)


def test_rows_follow_turns_levels_and_abilities(tmp_path: Path) -> None:
    params = SceneParams.checked(train=60, val=0, test=0, turns=2, max_level=1, abilities={"count": 1, "spatial": 1})
    world = scenes_dataset(params, tmp_path)
    assert {name for names in world.turn_slices.values() for name in names} == {"count/1", "spatial/1"}
    assert max(len(row["conversations"]) for row in world.rows) == 4


def test_an_ability_may_have_its_own_hardest_level(tmp_path: Path) -> None:
    weights = {"spatial": 1, "box": 1, "count": 1}
    params = SceneParams.checked(train=200, val=0, test=0, max_level={"spatial": 1, "box": 2}, abilities=weights)
    asked = {name for names in scenes_dataset(params, tmp_path).turn_slices.values() for name in names}
    assert asked == {"spatial/1", "box/1", "box/2", "count/1", "count/2"}


def test_a_killed_generation_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from cobra_kit_scenes import *\n"
        "show = lambda done, total: print(done, flush=True)\n"
        f"scenes_dataset(SceneParams.checked(train=100_000), Path({str(tmp_path)!r}), show, workers=2)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert int(process.stdout.readline()) > 0
    process.kill()
    process.wait()
    process.stdout.close()
    (partial,) = (tmp_path / "scenes").iterdir()
    assert ".partial-" in partial.name
    with pytest.raises(CobraError, match="no finished scenes here"):
        SceneDataset(partial)
    # Its workers stop by themselves once nobody listens.
    for _ in range(200):
        before = (partial / "train" / "images.npy").stat().st_mtime_ns
        time.sleep(0.3)
        if (partial / "train" / "images.npy").stat().st_mtime_ns == before:
            break
    else:
        pytest.fail("the workers still draw")


def test_of_two_processes_that_make_the_same_world_one_wins_and_both_can_read(tmp_path: Path) -> None:
    params = SceneParams.checked(train=5, val=0, test=0)

    def other_process(done: int, total: int) -> None:
        scenes_dataset(params, tmp_path, workers=0)

    ours = scenes_dataset(params, tmp_path, other_process, workers=0)
    assert len(ours.rows) > 0
    assert [path.name for path in (tmp_path / "scenes").iterdir()] == [cache_key(params)]


def test_what_a_killed_generation_left_goes_away_later(tmp_path: Path) -> None:
    params = SceneParams.checked(train=5, val=0, test=0)
    old = tmp_path / "scenes" / f"{cache_key(params)}.partial-old"
    new = tmp_path / "scenes" / f"{cache_key(params)}.partial-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "images.npy").touch()
    for path in (old / "images.npy", old):
        os.utime(path, (time.time() - 7200,) * 2)
    scenes_dataset(params, tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_damaged_world_in_the_cache_is_made_again(tmp_path: Path) -> None:
    params = SceneParams.checked(train=5, val=0, test=0)
    folder = scenes_dataset(params, tmp_path).folder
    (folder / "manifest.json").write_text('{"params"')
    (folder / "train" / "images.npy").unlink()
    assert scenes_dataset(params, tmp_path).pixels("train").shape[0] == 5


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cobra_kit_scenes.worker.draw_chunk", full)
    with pytest.raises(CobraError, match=r"No space left on device\n +If the disk is full"):
        scenes_dataset(SceneParams.checked(train=5, val=0, test=0), tmp_path, workers=0)
    assert list((tmp_path / "scenes").iterdir()) == []


def test_a_failing_worker_is_an_error_with_its_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cobra_kit_scenes.drawing_pool.sys.executable", "/bin/false")
    with pytest.raises(CobraError, match="drawing the pictures failed: exit code 1"):
        scenes_dataset(SceneParams.checked(train=5, val=0, test=0), tmp_path, workers=1)
    assert list((tmp_path / "scenes").iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": -1}, r"scenes: train: Input should be greater than or equal to 0 \(got -1\)"),
        ({"turns": 0}, "turns: Input should be greater than or equal to 1"),
        ({"disagreement": 1.5}, "disagreement: Input should be less than or equal to 1"),
        ({"trian": 5}, r"trian: Extra inputs are not permitted \(got 5\)\n +Parameters: seed, train"),
        ({"train": 0, "val": 0, "test": 0}, "no split has a picture: train, val, test, towers are all 0"),
        ({"abilities": {"smell": 1}}, "abilities.smell"),
        ({"max_level": {"spatial": 4}}, "max_level.spatial: Input should be less than or equal to 3"),
        ({"max_level": "all"}, r"max_level: Input should be a valid (mapping|dictionary)"),
        ({"abilities": {"color": 0}}, "at least one ability needs a weight above 0"),
        ({"abilities": {"color": float("nan")}}, "weights are finite numbers"),
        ({"prompts": "long"}, "prompts: Input should be 'short' or 'paper'"),
    ],
)
def test_nonsense_parameters_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(CobraError, match=message):
        SceneParams.checked(**values)


def test_an_empty_split_is_an_error_when_asked_for(tmp_path: Path) -> None:
    world = scenes_dataset(SceneParams.checked(train=5, val=0, test=0), tmp_path)
    assert world.splits == ("train",)
    with pytest.raises(CobraError, match=r"split 'towers' of scenes is empty\n +Ask for pictures: towers: 1000"):
        world.pixels("towers")
    with pytest.raises(CobraError, match="split 'test' of scenes is empty"):
        world.benchmark("test", "vsr")
    with pytest.raises(CobraError, match="split 'train' of scenes has no benchmarks"):
        world.benchmark("train", "vsr")


def test_unknown_names_are_errors(small: SceneDataset) -> None:
    with pytest.raises(CobraError, match=r"'cat.png' is not a picture of scenes"):
        small.array("cat.png")
    with pytest.raises(ImageError, match="the split has 40 pictures"):
        small.array("scenes_test_000000000040.png")
    with pytest.raises(CobraError, match=r"no benchmark 'gqa'\n +It has: vqav2"):
        small.benchmark("test", "gqa")  # type: ignore[arg-type]  # what a typing mistake does


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CobraError, match="the folder is not empty"):
        generate(SceneParams.checked(**SMALL), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_a_file_manager_has_been_at_is_filled(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / ".DS_Store").touch()
    generate(SceneParams.checked(**SMALL), tmp_path / "world")
    generate(SceneParams.checked(**SMALL), tmp_path / "other")
    there = {path.relative_to(tmp_path / "world") for path in (tmp_path / "world").rglob("*")}
    assert there == {path.relative_to(tmp_path / "other") for path in (tmp_path / "other").rglob("*")} | {
        Path(".DS_Store")
    }


def test_the_header_leaves_room_for_any_number(tmp_path: Path) -> None:
    images.allocate(tmp_path, 999_999)
    assert images.open_images(tmp_path).shape == (999_999, 64, 64, 3)


def test_the_command_writes_a_world_with_png_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    sizes = ["--train", "30", "--val", "5", "--test", "20"]
    result = CliRunner().invoke(app, ["scenes", "--out", str(out), "--seed", "9", *sizes, "--png"])
    assert result.exit_code == 0, result.output
    assert f"{out}: 30 train, 5 val, 20 test pictures" in result.output
    assert "floor" in result.output
    world = SceneDataset(out)
    assert (world.params.seed, world.manifest["generator"]) == (9, GENERATOR_VERSION)
    names = sorted(path.name for path in (out / "images").iterdir())
    assert len(names) == 55
    assert np.array_equal(np.asarray(Image.open(out / "images" / names[-1])), world.array(names[-1]))
    assert json.loads((out / "train" / "llava.json").read_text())[0]["image"] in names
