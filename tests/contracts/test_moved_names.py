"""What moved is still found under its old name, with a warning that says where it went."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

import cobra_kit
from cobra_kit import _moved, files


@pytest.mark.parametrize(("old", "new"), _moved.MODULES.items())
def test_a_moved_module_has_the_names_of_the_new_one(old: str, new: str) -> None:
    home, place = import_module(new), import_module(old)
    for name in (name for name in vars(home) if not name.startswith("_")):
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
