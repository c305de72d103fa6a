"""`--set data.1.rows=...`: a setting of an entry of a list, whose other entries stay."""

from __future__ import annotations

from pathlib import Path

import miniature
import pytest

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import load_recipe

BASE = miniature.RECIPE.partition("data:")[0]
TWO = "data: [{source: scenes, train: 8, weight: 2}, {source: llava, rows: r.json, images: i}]\n"


def data_of(folder: Path, *overrides: str):
    (folder / "two.yaml").write_text(f"{BASE}{TWO}")
    sections = load_recipe(folder / "two.yaml", overrides=overrides).data
    return [section.model_dump(exclude_none=True) for section in sections]


def test_only_that_setting_changes(tmp_path: Path) -> None:
    plain = data_of(tmp_path)
    changed = data_of(tmp_path, "data.1.rows=other.json", "data.0.weight=3", "data.1.quarantine=q.jsonl", "seed=5")
    assert changed == [{**plain[0], "weight": 3}, {**plain[1], "rows": "other.json", "quarantine": "q.jsonl"}]


def test_a_list_that_is_given_at_once_is_the_one_that_is_changed(tmp_path: Path) -> None:
    whole = "data=[{source: scenes, train: 4}, {source: scenes, train: 6}]"
    assert [section["train"] for section in data_of(tmp_path, "data.1.train=9", whole)] == [4, 9]


@pytest.mark.parametrize("change", ["data.2.rows=x", "data.x.rows=x", "data.-1.rows=x", "data.1=x", "data.²=x"])
def test_what_no_entry_is_is_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises(RecipeError, match="data is a list"):
        data_of(tmp_path, change)
