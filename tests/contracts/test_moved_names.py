"""What moved is still found under its old name, with a warning that says where it went."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

import cobra_kit
from cobra_kit import _moved, files
from cobra_kit.data.rows import DataSource, with_image_names
from cobra_kit.errors import ArgumentError
from cobra_kit.evaluate.scoring import Answered
from cobra_kit.statistics.power import planned_detectable_difference
from cobra_kit.statistics.scores import QuestionScore
from cobra_kit.train.encoders.recipe import load_pretrain_recipe
from cobra_kit_llava.source import LlavaSource, Params


@pytest.mark.parametrize(("old", "new"), _moved.MODULES.items())
def test_a_moved_module_has_the_names_of_the_new_one(old: str, new: str) -> None:
    home, place = import_module(new), import_module(old)
    for name in (name for name in vars(home) if not name.startswith("_") and f"{old}.{name}" not in _moved.NAMES):
        with pytest.warns(DeprecationWarning, match=f"{old}.{name} is now {new}.{name}"):
            assert getattr(place, name) is getattr(home, name)


def test_the_warning_names_the_new_place_and_is_that_of_the_line_that_asks() -> None:
    with pytest.warns(DeprecationWarning, match="is now") as caught:
        from cobra_kit.store import user_cache  # type: ignore[import-untyped]
    assert user_cache is files.user_cache
    assert str(caught[0].message) == "cobra_kit.store.user_cache is now cobra_kit.files.user_cache"
    assert caught[0].filename == __file__


def test_a_plugin_file_with_old_imports_runs(tmp_path: Path) -> None:
    plugin = tmp_path / "old_plugin.py"
    plugin.write_text("import cobra_kit.store\nfrom cobra_kit.store import write_json\nfrom cobra_kit import store\n")
    done = subprocess.run([sys.executable, "-W", "default", plugin], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "old_plugin.py:2: DeprecationWarning: cobra_kit.store.write_json is now cobra_kit.files" in done.stderr


def test_a_single_name_may_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_moved.NAMES, "cobra_kit.Composition", "cobra_kit.recipe.Recipe")
    with pytest.warns(DeprecationWarning, match=r"^cobra_kit.Composition is now cobra_kit.recipe.Recipe$") as caught:
        assert cobra_kit.Composition is cobra_kit.Recipe
    assert caught[0].filename == __file__


def test_what_never_was_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'cobra_kit' has no attribute 'nothing'"):
        _ = cobra_kit.nothing
    with pytest.raises(ModuleNotFoundError):
        import_module("cobra_kit.shop")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AttributeError):
            _ = import_module("cobra_kit.store").nothing


@pytest.mark.parametrize("moved", _moved.NAMES)
def test_a_renamed_class_or_function_is_found_under_its_old_name(moved: str) -> None:
    new = _moved.NAMES[moved]
    place, _, name = moved.rpartition(".")
    home, _, name_now = new.rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"{moved} is now {new}"):
        assert getattr(import_module(place), name) is getattr(import_module(home), name_now)


def test_arguments_and_fields_are_taken_by_their_former_names() -> None:
    with pytest.warns(DeprecationWarning, match="Answered: picture_size is called image_size now"):
        answered = Answered(question_id="1", image="a.png", picture_size=(3, 4))  # type: ignore[call-arg]
    assert answered == Answered(question_id="1", image="a.png", image_size=(3, 4))
    with pytest.warns(DeprecationWarning, match="QuestionScore: picture is called image now") as caught:
        score = QuestionScore("1", picture="a.png", score=1.0, prediction="", answer="")  # type: ignore[call-arg]
    with pytest.warns(DeprecationWarning, match="QuestionScore: picture is called image now"):
        assert score.picture == "a.png"  # type: ignore[attr-defined]
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(DeprecationWarning, match="pictures is called images now"):
        planned_detectable_difference(pictures=100)  # type: ignore[call-arg]


def test_an_argument_by_both_names_is_refused() -> None:
    with pytest.raises(ArgumentError, match="Answered: picture is called image now, and both are given"):
        Answered(question_id="1", image="a.png", picture="b.png")  # type: ignore[call-arg]


def test_a_source_written_with_the_former_names_is_read() -> None:
    class Former:
        def picture(self, image_id: str) -> str:
            return image_id

        def picture_ids(self, split: str) -> list[str]:
            return [split]

    with pytest.warns(DeprecationWarning, match="Former.picture of a data source is called image now"):
        source = with_image_names(cast(DataSource, Former()))
    assert source.image("a.png") == "a.png"  # type: ignore[comparison-overlap]
    assert source.image_ids("val") == ["val"]


def test_a_source_of_ours_answers_to_the_former_names(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "This."}]
    (tmp_path / "rows.json").write_text(json.dumps([{"id": 1, "image": "a.png", "conversations": turns}]))
    source = LlavaSource(Params(rows=tmp_path / "rows.json", images=tmp_path))
    with pytest.warns(DeprecationWarning, match="picture_ids of a data source is called image_ids now"):
        assert source.picture_ids("train") == ("a.png",)
    with pytest.warns(DeprecationWarning, match="picture of a data source is called image now"):
        assert source.picture("a.png").size == (4, 4)


def test_a_recipe_with_a_former_key_is_read_with_a_hint(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "cobra_kit")
    plan = load_pretrain_recipe("towers/siglip_tiny", overrides=["data.pictures=5000"])
    assert plan.recipe.data.images == 5000
    assert "data.pictures is called images now" in caplog.text
