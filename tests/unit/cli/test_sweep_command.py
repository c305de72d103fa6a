"""`cobra-kit sweep` and `status`: workers that are started, killed, joined and interrupted; what is shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import miniature
import pytest

from cobra_kit.cli import main
from cobra_kit.cli.arguments import UsageError, global_words
from cobra_kit.cli.status_text import live_lines, overview, status_lines
from cobra_kit.cli.sweep_action import SweepArguments, seconds_of
from cobra_kit.cli.sweep_display import PlainDisplay
from cobra_kit.errors import CobraError
from cobra_kit.study.execution.devices import choose_device, worker_environment
from cobra_kit.study.reading.status import StudyStatus, TrialStatus, study_status
from cobra_kit.trials.worker_pool import MAX_RESTARTS, Workers, raise_failures, working

GRID = miniature.search(
    "train.finetune.learning_rate: {choices: [0.001, 0.002, 0.003, 0.004]}", sampler={"use": "grid"}
)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    return miniature.write(tmp_path, GRID, "search")


def trial(number: int, state: str = "complete", **changes: Any) -> TrialStatus:
    plain = TrialStatus(
        number=number,
        name=f"trial-{number:04d}",
        state=state,
        params={"model.projector.use": "ldpv2/fused", "train.finetune.learning_rate": 0.00123456},
        values=[0.4 + number / 1000] if state == "complete" else None,
        stage="",
        step=None,
        steps=None,
        worker="",
        note="",
        seconds=None if state == "waiting" else 72.0,
        seconds_left=None,
    )
    return replace(plain, **changes)


def study(*trials: TrialStatus) -> StudyStatus:
    return StudyStatus(
        study="sweep_projector-laptop",
        folder="studies/sweep_projector-laptop",
        metrics=["mean"],
        directions=["maximize"],
        trials=list(trials),
        seconds_left=200.0,
    )


EVERY_STATE = study(
    trial(0),
    trial(1, "failed", note="Traceback (most recent call last):\n  File ...\nZeroDivisionError: division by zero"),
    trial(2, "pruned", note="pruned at step 100: mean 12.1 on validation"),
    trial(3, "infeasible", note="parameters 80,001, at most 75,000 allowed, and a good deal more to say than fits"),
    trial(
        4,
        "running",
        stage="finetune",
        step=120,
        steps=300,
        worker="a-machine-with-a-long-name:123456",
        seconds_left=32.0,
    ),
    trial(5, "running", worker="b:7"),
    trial(6, "waiting"),
)


def test_status_says_of_every_trial_what_matters_at_any_width() -> None:
    for width in (80, 140):
        lines = [line for line, _ in status_lines(EVERY_STATE, width)]
        assert all(len(line) <= width for line in lines), width
        text = "\n".join(lines)
        for wanted in (
            "4 of 7 trials ended: 1 complete, 1 pruned, 1 infeasible, 1 failed",
            "2 running, 1 waiting; about 3:20 left",
            "best so far  trial-0000  mean 40.0",
            "ZeroDivisionError:",
            "pruned at step 100:",
            "finetune 120/300",
            "0:32 left",
            "starting",
        ):
            assert wanted in text, (width, wanted, text)
        assert ("learning_rate 0.00123" in lines[-1]) is (width == 140)
    whole = "\n".join(line for line, _ in status_lines(EVERY_STATE, None))
    assert "and a good deal more to say than fits" in whole


def test_a_low_terminal_shows_the_trials_at_work() -> None:
    many = study(*(trial(number) for number in range(200)), trial(200, "running"), trial(201, "waiting"))
    lines = [line for line, _ in live_lines(many, 80, 12)]
    assert len(lines) <= 12
    assert any(line.lstrip().startswith("trial-0200  running") for line in lines)
    assert lines[-1].endswith("more")


def test_plain_progress_is_a_line_per_trial_that_ends(capsys: pytest.CaptureFixture[str]) -> None:
    display = PlainDisplay()
    display.status(study(trial(0), trial(1, "running"), trial(2, "waiting")))
    display.status(study(trial(0), trial(1), trial(2, "failed", note="no such file\nand more")))
    assert capsys.readouterr().err.splitlines() == [
        *overview(study(trial(0), trial(1, "running"), trial(2, "waiting"))).splitlines(),
        "trial-0001: complete  mean 40.1  2 of 3",
        "trial-0002: failed  no such file  3 of 3",
    ]


def test_lengths_of_time_are_read() -> None:
    assert [seconds_of(text) for text in (None, "90", "90s", "30m", "1.5h")] == [None, 90, 90, 1800, 5400]
    with pytest.raises(UsageError, match="expected a time such as 90s, 30m or 2h, found 'soon'"):
        seconds_of("soon")


def test_workers_are_told_everything_that_the_command_was() -> None:
    before = global_words({"plugin": [Path("a.py"), Path("b.py")], "no_plugins": True, "debug": False})
    arguments = SweepArguments(
        recipe="r.yaml",
        profile="laptop",
        changes=("a.b=1", "c=2"),
        trials=7,
        storage="postgresql+psycopg://h/d",
        out=Path("o"),
        timeout="2h",
        fail_fast=True,
        device="cpu",
        before=before,
    )
    assert " ".join(arguments.command()) == (
        "--plugin a.py --plugin b.py --no-plugins sweep r.yaml --profile laptop --trials 7 "
        "--storage postgresql+psycopg://h/d --out o --timeout 2h --set a.b=1 --set c=2 --fail-fast --device cpu"
    )


def test_workers_share_cores_and_have_a_gpu_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("cobra_kit.study.execution.devices.cores", lambda: 8)
    assert worker_environment(0, 3, "cpu") == {"OMP_NUM_THREADS": "2"}
    assert worker_environment(0, 99, "cpu") == {"OMP_NUM_THREADS": "1"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    gpus = [worker_environment(number, 3, "cuda")["CUDA_VISIBLE_DEVICES"] for number in range(3)]
    assert gpus == ["2", "5", "2"]


def test_a_device_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert [choose_device("auto"), choose_device("cpu")] == ["cpu", "cpu"]
    with pytest.raises(CobraError, match="torch sees no GPU"):
        choose_device("cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert [choose_device("auto"), choose_device("cpu")] == ["cuda", "cpu"]


def make_workers(tmp_path: Path, code: str, events: list[Any]) -> Workers:
    return Workers([sys.executable, "-c", code], [{}, {}], tmp_path / "workers", events.append)


def tended(workers: Workers, seconds: float = 600.0) -> None:
    until = time.monotonic() + seconds
    while workers.tend(0):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_killed_workers_start_again_a_few_times(tmp_path: Path) -> None:
    events: list[Any] = []
    workers = make_workers(tmp_path, "import os; os.kill(os.getpid(), 9)", events)
    with working(workers):
        tended(workers)
    assert [event.text for event in events].count("worker 1 was killed (SIGKILL); it starts again") == MAX_RESTARTS
    with pytest.raises(CobraError, match=rf"a worker was killed {MAX_RESTARTS + 1} times in a row \(SIGKILL\)"):
        raise_failures(workers.failures, tmp_path)


def test_a_worker_that_gives_up_is_quoted(tmp_path: Path) -> None:
    code = (
        "import sys; print('much'); print('error: no such file\\n       Look elsewhere.', file=sys.stderr); sys.exit(1)"
    )
    workers = make_workers(tmp_path, code, [])
    with working(workers):
        tended(workers)
    with pytest.raises(CobraError, match=r"no such file\n       Look elsewhere\."):
        raise_failures(workers.failures, tmp_path)


def test_workers_are_interrupted_when_the_block_ends(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n    print('ready', flush=True)\n    while True: time.sleep(0.05)\n"
        "except KeyboardInterrupt: print('saved', flush=True)"
    )
    workers = make_workers(tmp_path, code, [])
    with working(workers):
        until = time.monotonic() + 600
        while sum(path.read_text().count("ready") for path in (tmp_path / "workers").iterdir()) < 2:
            assert time.monotonic() < until
            time.sleep(0.02)
    assert [path.read_text().split() for path in (tmp_path / "workers").iterdir()] == [["ready", "saved"]] * 2


def command(recipe: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "cobra_kit", "sweep", str(recipe), "--out", str(out), *more]


def test_two_workers_one_of_them_killed_and_a_third_that_joins(recipe: Path, tmp_path: Path) -> None:
    # Long enough for the first trials to be seen, the last still to come.
    recipe.write_text(recipe.read_text().replace("steps: 20", "steps: 100"))
    out = tmp_path / "study"
    first = subprocess.Popen(command(recipe, out, "--workers", "2", "--json"), stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 600
    while not (running := _running(out)):
        assert time.monotonic() < until
        assert first.poll() is None
        time.sleep(0.05)
    os.kill(int(running[0].worker.rpartition(":")[2]), signal.SIGKILL)
    joined = subprocess.run(command(recipe, out, "--json"), capture_output=True, text=True, check=True, timeout=900)
    printed, _ = first.communicate(timeout=900)
    assert first.returncode == 0
    assert miniature.without_times_of(json.loads(printed)) == miniature.without_times_of(json.loads(joined.stdout))
    status = study_status(out)
    assert [trial.state for trial in status.trials] == ["complete"] * 4
    assert main(["status", str(out), "--json"]) == 0


def _running(out: Path) -> list[TrialStatus]:
    try:
        return [trial for trial in study_status(out).trials if trial.worker]
    except CobraError:
        return []


def test_ctrl_c_comes_to_the_workers_and_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    recipe = miniature.write(tmp_path, GRID.replace("steps: 20", "steps: 100000"), "endless")  # none ends by itself
    out = tmp_path / "study"
    process = subprocess.Popen(command(recipe, out, "--workers", "2"), stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 600
    while not (running := _running(out)):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=600)
    assert process.returncode == 130
    assert f"cobra-kit sweep {recipe} --out {out} --workers 2" in printed
    for trial in running:
        with pytest.raises(ProcessLookupError):
            os.kill(int(trial.worker.rpartition(":")[2]), 0)
    assert not _running(out)  # what they were at waits for the next


def test_status_of_something_else_says_what_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 1
    assert "no study here" in capsys.readouterr().err
