"""Sweeps from the recipe to the table, in one process; see `tests/unit/cli/test_sweep_command.py` for several."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import miniature
import optuna
import pytest

import cobra_kit
from cobra_kit.errors import CobraError, RecipeError
from cobra_kit.files import without_seal
from cobra_kit.recipe import load_recipe
from cobra_kit.report import AblationTable
from cobra_kit.study.execution.study_queue import WorkerOptions
from cobra_kit.study.execution.study_session import open_session, trials_of
from cobra_kit.study.execution.trial_sources import SearchTrials
from cobra_kit.study.reading.report import report_view, study_state
from cobra_kit.study.reading.status import StudyStatus, TrialStatus, study_status

RATES = "train.finetune.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}"
GRID = {"sampler": {"use": "grid"}}


def sweep(
    folder: Path, text: str, *, trials: int | None = None, **options: Any
) -> tuple[AblationTable | None, StudyStatus]:
    path = miniature.write(folder, text, "search")
    with open_session(trials_of(load_recipe(path), trials), folder / "study", WorkerOptions(**options)) as session:
        session.work()
        table = session.table() if session.is_finished else None
    return table, study_status(folder / "study")


def states(status: StudyStatus) -> dict[str, int]:
    return dict(Counter(trial.state for trial in status.trials))


def scored(study: Path) -> dict[str, set[str]]:
    """Returns which splits each run was asked."""
    files = sorted(study.glob("runs/*/scores.json"))
    return {file.parent.name: set(without_seal(json.loads(file.read_text()))) for file in files}


def test_a_search_selects_on_validation_and_tests_the_winner_and_the_reference_once(tmp_path: Path) -> None:
    text = miniature.search(
        f"""
        model.projector.use: {{choices: [mlp/linear, mlp/gelu, mlp/fused]}}
        model.projector.expansion: {{choices: [2, 4], when: {{model.projector.use: mlp/fused}}}}
        {RATES}
        """,
        trials=3,
        sampler={"use": "tpe", "n_startup_trials": 2},
    )
    table, status = sweep(tmp_path, text, timeout=0.0)
    assert table is None  # the time was up before the first trial
    assert states(status) == {"waiting": 3}
    table, status = sweep(tmp_path, text)
    assert table is not None
    best = status.best
    assert best is not None
    assert list(table.arms) == ["reference", best.name]
    assert table.reference == "reference"
    study = tmp_path / "study"
    assert scored(study).pop("reference-s7") == {"test"}
    assert {run: splits for run, splits in scored(study).items() if "test" in splits and run != "reference-s7"} == {
        f"{best.name}-s7": {"val", "test"}
    }
    for trial in status.trials:
        conditional = trial.params["model.projector.use"] == "mlp/fused"
        assert ("model.projector.expansion" in trial.params) is conditional

    files = {file: file.stat().st_mtime_ns for file in study.glob("runs/*/scores.json")}
    again, _ = sweep(tmp_path, text)
    assert miniature.without_times(again) == miniature.without_times(table)
    assert {file: file.stat().st_mtime_ns for file in study.glob("runs/*/scores.json")} == files
    _, more = sweep(tmp_path, text, trials=4)
    assert states(more) == {"complete": 4}
    assert [trial.params for trial in more.trials[:3]] == [trial.params for trial in status.trials]

    with pytest.raises(CobraError, match="made by another recipe") as caught:
        sweep(tmp_path, text.replace("low: 1.0e-4", "low: 1.0e-5"))
    assert "sweep.space" in str(caught.value)
    assert "low: 0.0001 there, 1e-05 now" in str(caught.value)


def test_a_grid_runs_every_feasible_point_and_says_why_others_are_not(tmp_path: Path) -> None:
    text = miniature.search(
        """
        model.vision_encoder.heads: {choices: [2, 5]}
        model.backbone.d_state: {choices: [4, 64]}
        """,
        limits=[{"metric": "parameters", "at_most": 75_000}],
        **GRID,
    )
    with pytest.raises(RecipeError, match="a grid has as many trials as it has points"):
        sweep(tmp_path, text, trials=3)
    table, status = sweep(tmp_path, text)
    assert table is not None
    assert [trial.state for trial in status.trials] == ["complete", "infeasible", "infeasible", "infeasible"]
    assert "at most 75,000 allowed" in status.trials[1].note
    assert "heads 5 do not divide width 24" in status.trials[2].note
    assert sorted(scored(tmp_path / "study")) == ["reference-s7", "trial-0000-s7"]  # nothing was spent on the others
    assert {place.name for place in (tmp_path / "study" / "runs").iterdir() if place.is_dir()} == set(
        scored(tmp_path / "study")
    )


def test_a_point_that_is_suggested_again_is_not_trained_again(tmp_path: Path) -> None:
    text = miniature.search(
        "model.projector.use: {choices: [mlp/linear, mlp/gelu]}", trials=5, sampler={"use": "random"}
    )
    table, status = sweep(tmp_path, text)
    assert states(status) == {"complete": 5}
    by_value: dict[str, list[TrialStatus]] = {}
    for trial in status.trials:
        by_value.setdefault(trial.params["model.projector.use"], []).append(trial)
    assert len(by_value) == 2
    for first, *others in by_value.values():
        assert first.note == ""
        assert [trial.note for trial in others] == [f"as {first.name}, which has the same values"] * len(others)
        assert [trial.values for trial in others] == [first.values] * len(others)
    trained = {folder.name for folder in (tmp_path / "study" / "runs").iterdir() if folder.is_dir()}
    assert trained == {"reference-s7", *(f"{first.name}-s7" for first, *_ in by_value.values())}
    assert table is not None
    assert [arm for arm in table.arms if arm != "reference"] == [status.best.name if status.best else ""]


def test_a_failing_trial_keeps_its_error_and_the_study_goes_on(tmp_path: Path) -> None:
    text = miniature.search("train.finetune.learning_rate: {choices: [1.0e+30, 0.001]}", **GRID)
    table, status = sweep(tmp_path, text)
    assert table is not None
    assert [trial.state for trial in status.trials] == ["failed", "complete"]
    assert "the loss is nan" in status.trials[0].note
    with pytest.raises(CobraError, match="the loss is nan"):
        sweep(tmp_path, text, fail_fast=True)  # what failed is tried again, and may stop the study
    assert states(study_status(tmp_path / "study")) == {"failed": 1, "complete": 1}


def test_several_objectives_end_in_the_trials_that_none_other_beats(tmp_path: Path) -> None:
    text = miniature.search(
        "model.backbone.d_state: {choices: [4, 8]}",
        objectives=[{"metric": "parameters"}, {"metric": "presence"}],
        **GRID,
    )
    table, status = sweep(tmp_path, text)
    assert table is not None
    assert (status.metrics, status.directions) == (["parameters", "presence"], ["minimize", "maximize"])
    small, large = (trial.values for trial in status.trials)
    assert small is not None
    assert large is not None
    assert small[0] < large[0]
    winners = ["trial-0000", "trial-0001"] if large[1] > small[1] else ["trial-0000"]
    assert list(table.arms) == ["reference", *winners]


def test_an_objective_that_no_benchmark_yields_is_told_with_those_there_are(tmp_path: Path) -> None:
    text = miniature.search(RATES, trials=1, objectives=[{"metric": "precence"}])
    with pytest.raises(CobraError, match="no benchmark named 'precence'") as caught:
        sweep(tmp_path, text, fail_fast=True)
    assert "presence" in str(caught.value)


class _Stops(optuna.pruners.BasePruner):
    """Stops every trial but the first at its first look."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return trial.number > 0


def test_a_pruned_trial_stops_there_and_its_reason_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SearchTrials, "pruner", lambda self: _Stops())
    text = miniature.search(RATES, trials=2, pruner={"use": "median"})
    table, status = sweep(tmp_path, text)
    assert table is not None
    assert [trial.state for trial in status.trials] == ["complete", "pruned"]
    assert status.trials[1].note.startswith("pruned at step 10: mean ")
    lines = (tmp_path / "study" / "runs" / "trial-0001-s7" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 10
    assert set(scored(tmp_path / "study")) == {"reference-s7", "trial-0000-s7"}

    state = study_state(tmp_path / "study")
    assert state.table is not None
    assert list(state.table.arms) == ["reference", "trial-0000"]
    view = report_view(state).sweep
    assert view is not None
    assert (view.sampler, view.pruner, view.importances) == ("tpe", "median", {})  # one trial says nothing of those
    assert [(trial.state, trial.error) for trial in view.trials] == [
        (trial.state, trial.note) for trial in status.trials
    ]
    assert list(view.trials[1].intermediate) == [10]
    assert view.best() == view.trials[0]


@pytest.mark.parametrize("pruner", [{"use": "median"}, {"use": "wilcoxon", "p_threshold": 0.4}])
def test_pruners_see_every_look_or_every_question(tmp_path: Path, pruner: dict[str, Any]) -> None:
    text = miniature.search(RATES, trials=1, pruner=pruner)
    path = miniature.write(tmp_path, text, "search")
    with open_session(trials_of(load_recipe(path)), tmp_path / "study", WorkerOptions()) as session:
        session.work()
        (trial,) = session._queue.trials()
    looks = 2
    questions = 12
    assert len(trial.intermediate_values) == (looks if pruner["use"] == "median" else looks * questions)


def test_trials_that_begin_alike_train_that_once(tmp_path: Path) -> None:
    text = miniature.search("train.finetune.learning_rate: {choices: [0.001, 0.002]}", **GRID)
    text = text.replace("train:\n", "train:\n  align: {steps: 5, batch_size: 4}\n")
    sweep(tmp_path, text)
    study = tmp_path / "study"
    assert len([place for place in (study / "shared" / "stages").iterdir() if place.is_dir()]) == 1
    made = [json.loads((study / "runs" / run / "manifest.json").read_text())["shared_stages"] for run in scored(study)]
    assert len(made) == 3
    assert {stages["align"]["made_by"] for stages in made} == {"trial-0000-s7"}


def test_run_and_sweep_take_up_each_other_s_ablations(tmp_path: Path) -> None:
    path = miniature.write(tmp_path)
    with open_session(trials_of(load_recipe(path)), tmp_path / "one", WorkerOptions()) as session:
        session.work()
        swept = session.table()
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "one" / "runs").glob("*/scores.json")}
    ran = cobra_kit.run(path, out=tmp_path / "one")
    assert miniature.without_times(ran) == miniature.without_times(swept)
    cobra_kit.run(path, out=tmp_path / "two")
    with open_session(trials_of(load_recipe(path)), tmp_path / "two", WorkerOptions()) as other:
        assert other.work().completed == 0
        assert miniature.without_times(other.table()) == miniature.without_times(ran)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "one" / "runs").glob("*/scores.json")} == before
    with pytest.raises(RecipeError, match="an ablation is a grid"):
        trials_of(load_recipe(path), trials=3)
    alone = miniature.write(tmp_path, miniature.RECIPE, "alone")
    with pytest.raises(RecipeError, match="nothing to sweep"):
        trials_of(load_recipe(alone))
