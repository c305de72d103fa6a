"""What docs/recipes.md shows is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cobra_kit.recipe import builtin_recipes_dir, load_recipe, resolve_arms
from cobra_kit.recipe.schema import Recipe

DOCS = Path(__file__).parents[3] / "docs" / "recipes.md"


def test_the_example_resolves_as_the_text_says(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "mine.yaml").write_text(example, encoding="utf-8")
    arms = resolve_arms(load_recipe(tmp_path / "mine.yaml"))
    parts = arms["ldpv2"].plain()["model"]
    assert list(arms) == ["mlp", "ldpv2"]
    assert (parts["backbone"]["use"], parts["backbone"]["n_layer"]) == ("mamba/tiny", 3)


@pytest.mark.parametrize("name", sorted(set(Recipe.model_fields) - {"title", "description", "seed"}))
def test_every_section_is_described(name: str) -> None:
    assert f"`{name}`" in DOCS.read_text(encoding="utf-8")


def test_the_packaged_folder_is_the_checkouts() -> None:
    folder = builtin_recipes_dir()
    assert folder is not None
    assert (folder / "cobra_tiny.yaml").is_file()
