"""A recipe with the old name of a key is read, with a hint that names the new one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import load_recipe, renamed

OLD = """\
extends: cobra_tiny
train:
  finetune:
    how_often: 2
profiles:
  laptop:
    train: {finetune: {how_often: 3}}
"""


@pytest.fixture(autouse=True)
def renamed_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renamed, "RENAMED_KEYS", {"train.finetune.how_often": "epochs"})


def written(folder: Path, text: str) -> Path:
    file = folder / "old.yaml"
    file.write_text(text)
    return file


def test_an_old_key_is_read_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = written(tmp_path, OLD)
    with caplog.at_level(logging.WARNING, logger="cobra_kit"):
        recipe = load_recipe(file, overrides=["train.finetune.how_often=4"])
    assert recipe.train is not None
    assert recipe.train.finetune is not None
    assert recipe.train.finetune.epochs == 4
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        f"{file}:4: train.finetune.how_often is called epochs now",
        f"{file}:7: profiles.laptop.train.finetune.how_often is called epochs now",
        "--set train.finetune.how_often=4: train.finetune.how_often is called epochs now",
    ]


def test_both_names_at_once_are_refused_with_the_line(tmp_path: Path) -> None:
    file = written(tmp_path, OLD.replace("how_often: 2", "how_often: 2\n    epochs: 1"))
    with pytest.raises(RecipeError, match="this is epochs now, which stands beside it") as caught:
        load_recipe(file)
    assert f"{file}:4" in str(caught.value)
