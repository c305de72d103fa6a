"""A dead worker is told from one at work, and a study whose folder is gone or read-only says so."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import miniature
import pytest

from cobra_kit.cli import main
from cobra_kit.errors import CobraError
from cobra_kit.events import StepDone
from cobra_kit.locks import is_locked, locked
from cobra_kit.recipe import load_recipe
from cobra_kit.study.execution.folder_faults import folder_faults
from cobra_kit.study.execution.study_queue import WorkerOptions
from cobra_kit.study.execution.study_session import open_session, trials_of
from cobra_kit.study.folder import MANIFEST, StudyFolder
from cobra_kit.study.reading.at_work import is_at_work
from cobra_kit.study.reading.report import study_state
from cobra_kit.study.reading.status import study_status
from cobra_kit.trials.lease import LEASE, LeaseRecord
from cobra_kit.trials.optuna_internals import storage_of, trial_id_of
from cobra_kit.trials.storage import JOURNAL
from cobra_kit.trials.worker_id import this_process


def test_a_lock_is_looked_at_without_being_made(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert is_locked(path) is False
    assert not path.exists()
    with locked(path, lambda: None):
        assert is_locked(path) is True
    assert is_locked(path) is False
    os.mkfifo(tmp_path / "fifo")
    assert is_locked(tmp_path / "fifo") is not True
    assert is_locked(tmp_path / "no\0name") is None


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A study one of whose trials is recorded as running; no process works on it."""
    recipe, out = load_recipe(miniature.write(tmp_path)), tmp_path / "study"
    with open_session(trials_of(recipe), out, WorkerOptions()) as session:
        queue = session._queue
        leased = queue.take()
        assert leased is not None
        leased.lease.__exit__(None, None, None)
    run = out / "runs" / "mlp-s7"
    run.mkdir(parents=True)
    line = {"stage": "finetune", "step": 3, "steps": 20, "loss": 1.0, "seconds": 1.0}
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    return out


def sign(out: Path, **changes: Any) -> None:
    """Signs the running trial as another worker."""
    with open_session(trials_of(load_recipe(out.parent / "miniature.yaml")), out, WorkerOptions()) as session:
        study = session._queue.study
        trial = study.get_trials()[0]
        record = LeaseRecord(dataclasses.replace(this_process(), **changes), 9, 1)
        storage_of(study).set_trial_user_attr(trial_id_of(trial), LEASE, dataclasses.asdict(record))


def test_a_worker_that_lives_runs_and_a_dead_one_has_stopped(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, _ = study_status(begun).trials
    assert (first.state, first.worker.partition(":")[2]) == ("running", str(os.getpid()))
    sign(begun, pid=2**22 - 1, started=1)
    status = study_status(begun)
    first, second = status.trials
    assert (first.state, first.worker, second.state) == ("stopped", "", "waiting")
    assert (first.step, first.seconds_left, status.ended) == (3, None, 0)
    assert main(["status", str(begun)]) == 0
    printed = capsys.readouterr().out
    assert "1 stopped, 1 waiting" in printed
    assert f"finetune 3/20: {this_process().host}:{2**22 - 1} is gone; the command that began the study" in printed


def test_a_worker_elsewhere_is_believed_while_the_journal_beats(begun: Path) -> None:
    sign(begun, host="another-machine", boot="another")
    assert study_status(begun).trials[0].state == "running"
    long_ago = time.time() - 3600
    os.utime(begun / JOURNAL, (long_ago, long_ago))
    assert study_status(begun).trials[0].state == "stopped"
    with locked(StudyFolder(begun).run_lock("mlp-s7"), lambda: None):  # a machine that shares the file system
        assert study_status(begun).trials[0].state == "running"


def test_a_report_tells_a_run_that_nobody_works_on(begun: Path) -> None:
    wanted = "mlp-s7: stopped at step 3: nobody works on it; the command that began the study goes on"
    assert wanted in study_state(begun).missing
    with locked(StudyFolder(begun).run_lock("mlp-s7"), lambda: None):
        assert is_at_work(StudyFolder(begun), "mlp-s7")
        assert "mlp-s7: in training, step 3" in study_state(begun).missing


def test_a_study_that_is_deleted_while_it_is_worked_on_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    recipe, out = load_recipe(miniature.write(tmp_path)), tmp_path / "study"

    def delete(event: object, /) -> None:
        if isinstance(event, StepDone) and event.step == 5:
            shutil.rmtree(out)

    session = open_session(trials_of(recipe), out, WorkerOptions(fail_fast=True), alone=True, report=delete)
    with pytest.raises(CobraError, match="the study is gone: its folder was deleted or moved"), session as opened:
        opened.work()


def test_a_study_that_ends_in_a_folder_that_is_gone_did_not_end_well(tmp_path: Path) -> None:
    with pytest.raises(CobraError, match="the study is gone"), folder_faults(tmp_path) as watch:
        watch.opened = True
    (tmp_path / MANIFEST).write_text("{}")
    with folder_faults(tmp_path) as watch:
        watch.opened = True
    with pytest.raises(CobraError, match="elsewhere"), folder_faults(tmp_path):
        raise CobraError("elsewhere")


def test_a_study_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    wanted = r"the study cannot be written: Read-only file system\n"
    with pytest.raises(CobraError, match=wanted), folder_faults(tmp_path):
        raise CobraError("a trial cannot be recorded") from OSError(30, "Read-only file system")
