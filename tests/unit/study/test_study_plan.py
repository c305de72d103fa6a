"""From a recipe to runs; shipped recipes under both profiles."""

from __future__ import annotations

from pathlib import Path

import miniature
import pytest

from cobra_kit.errors import RecipeError
from cobra_kit.recipe import builtin_recipes, load_recipe
from cobra_kit.report import ArmResult, BenchmarkInfo, PaperReference, build_table, render_markdown, render_text
from cobra_kit.statistics import QuestionScore
from cobra_kit.study.execution.run_study import study_path
from cobra_kit.study.plan.study_plan import make_plan

SCORES = {"presence": {7: [QuestionScore("1", "p1", 1.0, "yes", "yes"), QuestionScore("2", "p2", 0.0, "no", "yes")]}}
RUNNABLE = [
    pytest.param(name, profile, id=f"{name}-{profile}")
    for name in sorted(builtin_recipes())
    for profile in load_recipe(name).profile_names or (None,)
]


def test_runs_are_arms_by_seeds_and_a_seed_is_finished_first(recipe: Path) -> None:
    plan = make_plan(load_recipe(recipe, overrides=["ablation.seeds=[7, 8]"]))
    assert [run.name for run in plan.runs] == ["mlp-s7", "linear-s7", "mlp-s8", "linear-s8"]
    assert [run.resolved.recipe.seed for run in plan.runs] == [7, 7, 8, 8]
    assert (plan.factor, plan.reference, plan.arms, plan.seeds) == ("model.projector", "mlp", ("mlp", "linear"), (7, 8))


def test_a_recipe_without_an_ablation_is_one_arm(tmp_path: Path) -> None:
    plan = make_plan(load_recipe(miniature.write(tmp_path, miniature.RECIPE), overrides=["seed=11"]))
    assert [run.name for run in plan.runs] == ["model-s11"]
    assert (plan.factor, plan.reference, plan.paper) == ("", "model", None)


def test_the_folder_bears_recipe_and_profile(recipe: Path) -> None:
    assert study_path(make_plan(load_recipe(recipe))) == Path("studies/miniature")
    plan = make_plan(load_recipe("ablation_projector"))
    assert study_path(plan) == Path("studies/ablation_projector-laptop")
    assert study_path(plan, "elsewhere") == Path("elsewhere")


def test_titles_do_not_make_another_study_and_settings_do(recipe: Path) -> None:
    def identity(*overrides: str) -> object:
        return make_plan(load_recipe(recipe, overrides=overrides)).identity()

    assert identity("title=Other") == identity()
    assert identity("train.finetune.steps=21") != identity()
    assert identity("data.turns=8") == identity()  # the default, written out


@pytest.mark.parametrize("section", ["data", "train"])
def test_a_missing_section_is_named(recipe: Path, section: str) -> None:
    with pytest.raises(
        RecipeError, match=rf"has no section `{section}`, so there is nothing to run\n +Add, for example"
    ):
        make_plan(load_recipe(recipe, overrides=[f"{section}=null"]))


def test_a_wrong_data_setting_is_named_with_its_place(tmp_path: Path) -> None:
    text = miniature.ABLATION.replace("train: 60", "trian: 60")
    with pytest.raises(RecipeError, match=r"miniature.yaml:8: data.trian"):
        make_plan(load_recipe(miniature.write(tmp_path, text)))


@pytest.mark.parametrize(("name", "profile"), RUNNABLE)
def test_shipped_recipes_can_be_planned(name: str, profile: str | None) -> None:
    plan = make_plan(load_recipe(name, profile=profile))
    assert plan.runs
    assert all(run.train.stages() for run in plan.runs)
    assert all(run.resolved.lock().values() for run in plan.runs)


def test_the_papers_hyper_parameters() -> None:
    """PAPER.md 2.2, from Cobra's `conf/models.py` and the paper's Table 1."""
    recipe = load_recipe("ablation_epochs", profile="paper")
    runs = {run.arm: run.train for run in make_plan(recipe).runs}
    tune, align = runs["two-epochs"].finetune, runs["align-one-epoch"].align
    assert tune is not None
    assert align is not None
    assert (tune.epochs, tune.batch_size, tune.learning_rate, tune.weight_decay) == (2, 128, 2e-5, 0.1)
    assert (align.epochs, align.batch_size, align.learning_rate, align.weight_decay) == (1, 256, 1e-3, 0.0)
    for stage in (tune, align):
        assert (stage.betas, stage.warmup_ratio, stage.final_lr_ratio) == ((0.9, 0.999), 0.03, 0.0)
        assert stage.max_grad_norm == 1.0
    assert {arm: list(train.stages()) for arm, train in runs.items()} == {
        "two-epochs": ["finetune"],
        "one-epoch": ["finetune"],
        "align-one-epoch": ["align", "finetune"],
    }


def test_an_arm_that_is_not_meaningful_is_not_run_and_the_table_says_why(recipe: Path) -> None:
    plan = make_plan(load_recipe(recipe, overrides=["ablation.not_meaningful.linear=it has nothing to say."]))
    assert plan.arms == ("mlp",)
    assert plan.left_out == {"linear": "it has nothing to say."}
    arms = [ArmResult(name="mlp", scores=SCORES)]
    table = build_table(
        arms,
        [BenchmarkInfo(name="presence", rule="r")],
        reference="mlp",
        factor="f",
        profile="",
        left_out=plan.left_out,
    )
    assert table.notes == ("linear is not run: it has nothing to say",)
    assert "Linear is not run: it has nothing to say." in render_markdown(table)


def test_a_single_model_stands_beside_its_row_of_the_main_table() -> None:
    plan = make_plan(load_recipe("cobra_8b"))
    assert plan.paper == PaperReference(table="v4_table2_main", rows={"model": "Cobra-8B"})
    table = build_table(
        [ArmResult(name="model", scores=SCORES)],
        [BenchmarkInfo(name="presence", rule="r")],
        reference="model",
        factor="",
        profile="",
        paper=plan.paper,
    )
    assert "The paper (Cobra, Table 2, Cobra-8B): POPE 87.6" in render_text(table, 100)
