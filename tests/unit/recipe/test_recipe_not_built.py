"""What no recipe builds is said where one looks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import builtin_recipes, load_recipe
from cobra_kit.recipe.not_built import NOT_BUILT

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("entry", NOT_BUILT, ids=lambda entry: entry.name)
def test_looking_for_it_gives_the_reason_and_the_nearest_recipe(entry) -> None:
    assert entry.name not in builtin_recipes()
    with pytest.raises(RecipeError) as caught:
        load_recipe(f"recipes/{entry.name}.yaml")
    assert entry.reason in str(caught.value)
    assert f"The nearest recipe is {entry.instead}." in str(caught.value)
    assert entry.instead in builtin_recipes()


def test_the_readme_lists_it() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(entry.name in readme and entry.reason in readme for entry in NOT_BUILT)
