"""What we use of Optuna beside its documented interface stands in one file, and was read in the version installed."""

from __future__ import annotations

import ast
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.storages.journal import JournalFileBackend

import cobra_kit
from cobra_kit.trials.optuna_internals import (
    CACHED_METHODS,
    READ_IN,
    begun_trial,
    fixed_params,
    is_ended_elsewhere,
    journal_lines,
    storage_of,
    trial_id_of,
)

PACKAGE = Path(cobra_kit.__file__).parent
PRIVATE = {"_storage", "_trial_id", "_study_id", "_thread_local", "_backend", "_create_new_trial"}


def test_the_installed_version_is_the_one_that_was_read() -> None:
    installed = ".".join(optuna.__version__.split(".")[:2])
    assert installed == READ_IN, (
        f"cobra_kit/trials/optuna_internals.py was read in Optuna {READ_IN}, and {installed} is installed. Read again: "
        "optuna/storages/_cached_storage.py (which private methods of RDBStorage it calls: CACHED_METHODS), "
        "optuna/storages/journal/_file.py (append_logs: the form of a line; JournalFileSymlinkLock, which "
        "trials/journal.py extends), optuna/study/study.py (Study._storage; enqueue_trial: fixed_params), "
        "optuna/study/_tell.py (the words of the ValueError), optuna/trial/_trial.py (Trial's constructor, _trial_id), "
        "optuna/samplers/_grid.py (fixed_params). Then set READ_IN."
    )


def test_no_other_file_uses_what_optuna_keeps_private() -> None:
    uses = []
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text()
        if file.name == "optuna_internals.py" or "optuna" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("optuna"):
                names = [part for part in (node.module or "").split(".") if part.startswith("_")]
            elif isinstance(node, ast.Attribute) and node.attr in PRIVATE:
                names = [] if isinstance(node.value, ast.Name) and node.value.id == "self" else [node.attr]
            uses += [f"{file.relative_to(PACKAGE)}:{node.lineno} {name}" for name in names]
    assert not uses


def test_the_methods_that_the_cache_calls_are_there() -> None:
    assert all(callable(getattr(RDBStorage, name)) for name in CACHED_METHODS)


def test_a_journal_line_is_optuna_s_own(tmp_path: Path) -> None:
    logs = [{"op_code": 0, "worker_id": "w", "study_name": "é"}, {"op_code": 4, "user_attr": {"a": [1, None]}}]
    JournalFileBackend(str(tmp_path / "journal")).append_logs(logs)
    assert (tmp_path / "journal").read_bytes().splitlines() == journal_lines(logs)


def test_a_recorded_trial_goes_on_with_its_fixed_parameters_and_ends_once() -> None:
    study = optuna.create_study()
    study.add_trial(
        optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING, system_attrs=fixed_params({"x": 0.25}))
    )
    [waiting] = study.get_trials()
    trial_id = trial_id_of(waiting)
    storage_of(study).set_trial_state_values(trial_id, state=optuna.trial.TrialState.RUNNING)
    trial = begun_trial(study, trial_id)
    assert trial.suggest_float("x", 0, 1) == 0.25
    study.tell(trial, 1.0)
    with pytest.raises(ValueError, match=r"\w") as refused:
        study.tell(trial, 1.0)
    assert is_ended_elsewhere(refused.value)
    assert not is_ended_elsewhere(ValueError("could not convert string to float: 'x'"))


def test_without_fixed_parameters_a_grid_still_gives_a_cell() -> None:
    assert fixed_params({}) == {}
