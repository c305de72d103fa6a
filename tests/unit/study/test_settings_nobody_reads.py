"""A setting that a run does not read is refused, and the message says what works instead."""

from __future__ import annotations

from pathlib import Path

import miniature
import pytest

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import load_recipe
from cobra_kit.study.plan.study_plan import make_plan

SEEDS = miniature.ABLATION.replace("  reference: mlp", "  seeds: [1, 2]\n  reference: mlp")


@pytest.mark.parametrize("text", [miniature.ABLATION, SEEDS])
def test_a_seed_on_the_command_line_is_refused_for_an_ablation(tmp_path: Path, text: str) -> None:
    path = miniature.write(tmp_path, text)
    with pytest.raises(RecipeError, match=r"(?s)--set seed=3.*does not read `seed`.*--set 'ablation.seeds=\[3\]'"):
        make_plan(load_recipe(path, overrides=["seed=3"]))
    assert make_plan(load_recipe(path, overrides=["ablation.seeds=[3]"])).seeds == (3,)


def test_a_seed_beside_an_ablation_is_refused_where_no_arm_has_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"(?s)miniature.yaml:2: seed.*\[1, 2\]"):
        make_plan(load_recipe(miniature.write(tmp_path, f"\nseed: 3\n{SEEDS}")))
    assert make_plan(load_recipe(miniature.write(tmp_path, f"seed: 2\n{SEEDS}"))).seeds == (1, 2)


def test_a_seed_that_is_inherited_may_stand_beside_seeds_of_one_s_own(tmp_path: Path) -> None:
    miniature.write(tmp_path, f"seed: 3\n{miniature.RECIPE}", "base")
    ablation = SEEDS.replace(miniature.RECIPE, "extends: base.yaml\n")
    assert make_plan(load_recipe(miniature.write(tmp_path, ablation))).seeds == (1, 2)
    without = miniature.ABLATION.replace(miniature.RECIPE, "extends: base.yaml\n")
    with pytest.raises(RecipeError, match=r"base.yaml:1: seed: an ablation does not read `seed`"):
        make_plan(load_recipe(miniature.write(tmp_path, without)))


def test_a_study_s_own_recipe_makes_the_same_study_again(tmp_path: Path) -> None:
    plan = make_plan(load_recipe(miniature.write(tmp_path, SEEDS)))
    again = miniature.write(tmp_path, plan.resolved.to_yaml(), "again")
    assert make_plan(load_recipe(again)).identity() == plan.identity()


def test_a_run_refuses_settings_of_a_search(tmp_path: Path) -> None:
    path = miniature.write(tmp_path, miniature.search("model.backbone.d_state: {choices: [4, 8]}"))
    make_plan(load_recipe(path))
    with pytest.raises(RecipeError, match=r"(?s)--set sweep.trials=3: a run does not read.*cobra-kit sweep"):
        make_plan(load_recipe(path, overrides=["sweep.trials=3"]))


@pytest.mark.parametrize(("share", "message"), [("0.01", "0.01 of 20, which is none"), ("0.99", "of 20, which is all")])
def test_a_curriculum_that_lasts_no_step_or_all_of_them_is_refused(tmp_path: Path, share: str, message: str) -> None:
    text = miniature.RECIPE.replace("steps: 20,", f"steps: 20, curriculum: {{kinds: [presence], share: {share}}},")
    with pytest.raises(RecipeError, match=message):
        load_recipe(miniature.write(tmp_path, text))
