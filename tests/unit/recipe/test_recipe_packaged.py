"""The recipes that are shipped: found by name, qualified, and fair under every profile."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cobra_kit._plugins import default_registry
from cobra_kit.recipe import builtin_recipes, load_recipe, resolve, resolve_arms
from cobra_kit.recipe.diff import flatten

SHIPPED = sorted(builtin_recipes())
WITH_PROFILES = [
    pytest.param(name, profile, id=f"{name}-{profile}")
    for name in SHIPPED
    for profile in load_recipe(name).profile_names or (None,)
]


def test_the_first_recipes_are_there() -> None:
    assert {"cobra_tiny", "cobra_3b", "ablation_projector", "ablation_encoder", "ablation_fusion"} <= set(SHIPPED)


@pytest.mark.parametrize("source", ["cobra_tiny", "cobra_tiny.yaml", "recipes/cobra_tiny.yaml"])
def test_packaged_names_work_outside_the_checkout(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_recipe(source).name == "cobra_tiny"


@pytest.mark.parametrize(("name", "profile"), WITH_PROFILES)
def test_shipped_recipes_resolve_and_are_fair(name: str, profile: str | None) -> None:
    recipe = load_recipe(name, profile=profile)
    resolved = resolve(recipe)
    assert recipe.title
    assert recipe.description
    arms = resolve_arms(recipe)
    assert list(arms) == list(recipe.ablation.arms if recipe.ablation else ())
    assert all(
        version.startswith("cobra-kit ") for one in (resolved, *arms.values()) for version in one.lock().values()
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_use_qualified_names_only(name: str) -> None:
    written = yaml.safe_load(builtin_recipes()[name].read_text(encoding="utf-8"))
    uses = {path: value for path, value in flatten(written).items() if path.endswith("use")}
    qualified = {component.qualified for component in default_registry().components()}
    assert {path: value for path, value in uses.items() if value not in qualified} == {}


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("ablation_")])
def test_arms_have_the_same_names_in_every_profile(name: str) -> None:
    names = {profile: list(resolve_arms(load_recipe(name, profile=profile))) for profile in ("laptop", "paper")}
    assert names["laptop"] == names["paper"]


def test_reading_recipes_imports_no_torch() -> None:
    code = (
        "import sys; from cobra_kit.recipe import load_recipe, resolve_arms\n"
        "resolve_arms(load_recipe('ablation_encoder'))\n"
        "print([name for name in sys.modules if re.match(r'(torch|timm|transformers)\\b', name)])"
    )
    done = subprocess.run([sys.executable, "-c", f"import re; {code}"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\[\]\s*", done.stdout)
