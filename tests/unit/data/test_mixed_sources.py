"""`data` as a list: several sources are one, rows by weight, names with their source in front."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import miniature
import pytest
from toy_source import ToySource

from cobra_kit.data.mixture import MixedPart, MixedSource
from cobra_kit.data.sources import named_sources, offered_benchmarks, open_source, with_defaults
from cobra_kit.errors import RecipeError
from cobra_kit.recipe import load_recipe, resolve
from cobra_kit.recipe.sections import DataSection

BASE = miniature.RECIPE.partition("data:")[0]
TWO = "data: [{source: scenes, train: 8, val: 4, test: 4, weight: 2}, {source: llava, rows: r.json, images: i}]\n"


def mixed(seed: int = 7, **weights: float) -> MixedSource:
    parts = [MixedPart(name, ToySource(30, name=name), weight) for name, weight in weights.items()]  # type: ignore[arg-type]
    return MixedSource(parts, seed)


def loaded(path: Path, data: str, *overrides: str):
    path.write_text(f"{BASE}{data}")
    return load_recipe(path, overrides=overrides)


def test_an_epoch_has_rows_by_weight() -> None:
    rows = mixed(a=2.0, b=0.5, c=1.0).rows
    assert Counter(row.row_id.partition("/")[0] for row in rows) == {"a": 60, "b": 15, "c": 30}
    assert len({row.row_id for row in rows}) == len(rows)
    assert {row.row_id for row in rows} > {"a/r3", "a/r3#2", "c/r3"}
    halves = mixed(a=1.5).rows
    assert [row.row_id for row in halves[:30]] == [f"a/r{i}" for i in range(30)]
    assert len(halves) == 45


def test_the_seed_and_nothing_else_says_which_rows_a_share_leaves() -> None:
    ids = [[row.row_id for row in mixed(seed, a=0.5).rows] for seed in (7, 7, 8)]
    assert ids[0] == ids[1] != ids[2]
    code = (
        "import sys; sys.path[:0] = ['tests', 'tests/unit/data']\n"
        "from test_mixed_sources import mixed; print([row.row_id for row in mixed(7, a=0.5).rows])"
    )
    root = Path(__file__).parents[3]
    elsewhere = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert elsewhere.stdout.strip() == str(ids[0])


def test_runs_of_several_seeds_share_the_features_of_their_images() -> None:
    one, other = mixed(7, a=0.5, b=1.0), mixed(8, a=0.5, b=1.0)
    assert one.fingerprint == other.fingerprint
    assert one.image_ids("train") == other.image_ids("train")
    assert len(one.image_ids("train")) == 60
    assert mixed(7, a=0.25, b=1.0).fingerprint != one.fingerprint


def test_images_are_those_of_their_source() -> None:
    source = mixed(a=1.0, b=1.0)
    assert source.rows[0].images == ("a/p0.png",)
    assert source.image("b/p4.png").tobytes() == ToySource(30).image("p4.png").tobytes()


def test_a_list_and_its_defaults(tmp_path: Path) -> None:
    recipe = loaded(tmp_path / "toy.yaml", TWO)
    assert [(source.prefix, source.weight) for source in named_sources(recipe)] == [("scenes", 2.0), ("llava", 1.0)]
    complete = with_defaults(recipe)
    assert isinstance(complete, list)
    assert complete[0].settings()["turns"] == 8
    assert complete[1].weight == 1.0
    assert offered_benchmarks(recipe)[:2] == ("presence", "attribute")


def test_the_same_source_twice_has_two_prefixes_and_no_two_benchmarks_of_one_name(tmp_path: Path) -> None:
    small = "source: scenes, train: 2, val: 2, test: 2"
    recipe = loaded(tmp_path / "toy.yaml", f"data: [{{{small}}}, {{{small}, seed: 3}}]\n")
    assert [source.prefix for source in named_sources(recipe)] == ["scenes", "scenes-2"]
    offered = offered_benchmarks(recipe)
    assert len(set(offered)) == len(offered) == 12
    assert offered[0] == "scenes-presence"
    assert offered[6] == "scenes-2-presence"


def test_a_single_source_is_what_it_was(tmp_path: Path) -> None:
    recipe = loaded(tmp_path / "toy.yaml", "data: {source: scenes, train: 8}\n")
    assert isinstance(recipe.data, DataSection)
    assert resolve(recipe).plain()["data"] == {"source": "scenes", "train": 8}
    assert "weight" not in with_defaults(recipe).model_dump()  # type: ignore[union-attr]


def test_a_list_survives_being_written_out(tmp_path: Path) -> None:
    recipe = loaded(tmp_path / "toy.yaml", TWO)
    plain = resolve(recipe).plain()
    again = loaded(tmp_path / "again.yaml", f"data: {json.dumps(plain['data'])}\n")
    assert resolve(again).plain()["data"] == plain["data"]


def test_set_replaces_the_whole_list_or_a_setting_of_one(tmp_path: Path) -> None:
    recipe = loaded(tmp_path / "toy.yaml", TWO, "data=[{source: scenes, train: 3, weight: 0.5}]")
    assert [(section.source, section.settings()) for section in recipe.sources] == [("scenes", {"train": 3})]
    recipe = loaded(tmp_path / "toy.yaml", TWO, "data.0.train=3")
    assert recipe.sources[0].settings()["train"] == 3
    with pytest.raises(RecipeError, match=r"data\.9"):
        loaded(tmp_path / "toy.yaml", TWO, "data.9.train=3")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            "[{source: scenes}, {source: scens}]",
            r"data\.1\.source: no data source named 'scens'\n +did you mean scenes",
        ),
        ("[{source: scenes, trian: 3}]", r"data\.0\.trian: unknown key\n +did you mean data\.0\.train\?"),
        ("[{source: scenes, weight: 0}]", r"data\.0\.weight: expected greater than 0, found 0"),
        ("[{weight: 2}]", r"data\.0\.source: is missing"),
        ("{source: scenes, weight: 2}", r"data\.weight: unknown key"),
        ("3", r"data: expected a mapping or a list, found 3"),
    ],
)
def test_wrong_lists_are_refused_with_their_place(tmp_path: Path, data: str, expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        open_source(loaded(tmp_path / "toy.yaml", f"data: {data}\n"))
