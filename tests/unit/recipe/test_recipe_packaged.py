"""The recipes that are shipped: found by name, qualified, and fair under every profile."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cobra_kit._plugins import default_registry
from cobra_kit.paper import paper_table
from cobra_kit.recipe import builtin_recipes, load_recipe, resolve, resolve_arms
from cobra_kit.recipe.diff import flatten
from cobra_kit.study.execution.study_session import trials_of
from cobra_kit.study.execution.trial_sources import SearchTrials

SHIPPED = sorted(builtin_recipes())
WITH_PROFILES = [
    pytest.param(name, profile, id=f"{name}-{profile}")
    for name in SHIPPED
    for profile in load_recipe(name).profile_names or (None,)
]


def test_the_first_recipes_are_there() -> None:
    ablations = {"projector", "encoder", "fusion", "llm_init", "epochs", "backbone", "precision"}
    assert {"cobra_tiny", "cobra_3b", "cobra_8b", *(f"ablation_{factor}" for factor in ablations)} <= set(SHIPPED)


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
        version.startswith("cobra-kit ") for arm in (resolved, *arms.values()) for version in arm.lock().values()
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_use_qualified_names_only(name: str) -> None:
    written = yaml.safe_load(builtin_recipes()[name].read_text(encoding="utf-8"))
    algorithms = {"sweep.sampler.use", "sweep.pruner.use"}  # Optuna's, by name
    uses = {path: value for path, value in flatten(written).items() if path.endswith("use") and path not in algorithms}
    qualified = {component.qualified for component in default_registry().components()}
    assert {path: value for path, value in uses.items() if value not in qualified} == {}


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("ablation_")])
def test_arms_have_the_same_names_in_every_profile(name: str) -> None:
    names = {profile: list(resolve_arms(load_recipe(name, profile=profile))) for profile in ("laptop", "paper")}
    assert names["laptop"] == names["paper"]


def test_every_row_of_the_ablation_table_has_an_arm_under_both_profiles() -> None:
    table = paper_table("v4_table5_ablation")
    for profile in ("laptop", "paper"):
        covered = {}
        for name in SHIPPED:
            if not name.startswith("ablation_"):
                continue
            ablation = load_recipe(name, profile=profile).ablation
            if ablation.paper is not None:
                assert ablation.paper.rows[ablation.reference] == "full"
                run = {arm: row for arm, row in ablation.paper.rows.items() if arm not in ablation.not_meaningful}
                covered |= {row: (name, arm) for arm, row in run.items()}
        assert set(covered) == set(table.rows)


def test_both_models_of_the_main_table_have_a_recipe() -> None:
    rows = {load_recipe(name).paper.row for name in ("cobra_3b", "cobra_8b")}
    assert rows == {"Cobra-3.5B", "Cobra-8B"}


@pytest.mark.parametrize("name", ["cobra_3b", "cobra_8b", *(name for name in SHIPPED if name.startswith("ablation_"))])
def test_the_paper_profile_has_the_paper_s_hyper_parameters(name: str) -> None:
    recipe = load_recipe(name, profile="paper")
    for arm, resolved in (resolve_arms(recipe) or {"": resolve(recipe)}).items():
        stages = resolved.recipe.train.stages()
        tuned = stages["finetune"]
        assert (tuned.batch_size, tuned.learning_rate, tuned.weight_decay) == (128, 2e-5, 0.1)
        assert (tuned.betas, tuned.warmup_ratio, tuned.final_lr_ratio, tuned.max_grad_norm) == (
            (0.9, 0.999),
            0.03,
            0,
            1,
        )
        assert tuned.epochs == (1 if arm.endswith("one-epoch") else 2)
        assert (tuned.loss_unit, tuned.curriculum) == ("token", None)
        assert set(stages) == ({"align", "finetune"} if arm == "align-one-epoch" else {"finetune"})
        if aligned := stages.get("align"):
            assert (aligned.batch_size, aligned.learning_rate, aligned.weight_decay, aligned.epochs) == (
                256,
                1e-3,
                0,
                1,
            )
            assert (aligned.warmup_ratio, aligned.final_lr_ratio, aligned.max_grad_norm) == (0.03, 0, 1)


def test_reading_recipes_imports_no_torch() -> None:
    code = (
        "import sys; from cobra_kit.recipe import load_recipe, resolve_arms\n"
        "resolve_arms(load_recipe('ablation_encoder'))\n"
        "print([name for name in sys.modules if re.match(r'(torch|timm|transformers)\\b', name)])"
    )
    done = subprocess.run([sys.executable, "-c", f"import re; {code}"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\[\]\s*", done.stdout)


def test_the_packaged_search_is_one() -> None:
    kind = trials_of(load_recipe("sweep_projector"))
    assert isinstance(kind, SearchTrials)
    assert len(kind.points()) == 16
    assert set(kind.plan.sweep.space) == {
        "model.vision_encoder.use",
        "model.projector.use",
        "model.fusion.use",
        "train.finetune.learning_rate",
    }
