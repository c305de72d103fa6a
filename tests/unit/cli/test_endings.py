"""How a command ends that is stopped from outside: what is said, its exit status, and that no worker outlives it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import miniature
import pytest
from child_commands import at_work, is_alive, start, until

from cobra_kit.cli.exit_codes import TRIALS_FAILED
from cobra_kit.study.reading.status import study_status

LONG = miniature.RECIPE.replace("steps: 20", "steps: 100000")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_signal_saves_says_how_to_go_on_and_has_a_status_of_its_own(work: Path, number: signal.Signals) -> None:
    recipe, out, plugin = miniature.write(work, LONG), work / "my study", work / "empty.py"
    plugin.write_text("")
    before = signal.signal(number, signal.SIG_DFL)  # these tests may run under nohup, whose children ignore SIGHUP
    try:
        process = start(
            "run", str(recipe), "--out", str(out), "--control", "shuffled-images", "--plugin", str(plugin), "--json"
        )
    finally:
        signal.signal(number, before)
    metrics = out / "runs" / "model-s7" / "metrics.jsonl"
    until(lambda: metrics.is_file() and metrics.stat().st_size)
    process.send_signal(number)
    process.send_signal(number)  # a terminal that closes tells twice
    _, printed = process.communicate(timeout=600)
    assert process.returncode == 128 + number
    assert printed.splitlines()[-2:] == [
        f"Ended by {number.name}. What is done is kept in {out}. To go on:",
        f"  cobra-kit --plugin {plugin} run {recipe} --out '{out}' --control shuffled-images --json",
    ]
    assert any((out / "runs" / "model-s7" / "checkpoints").iterdir())
    assert [trial.state for trial in study_status(out).trials] == ["waiting"]


@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_ignored(work: Path) -> None:
    recipe, out = miniature.write(work, miniature.RECIPE.replace("steps: 20", "steps: 200")), work / "study"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        process = start("run", str(recipe), "--out", str(out))
    finally:
        signal.signal(signal.SIGHUP, before)
    until(lambda: at_work(out))
    process.send_signal(signal.SIGHUP)
    _, printed = process.communicate(timeout=600)
    assert process.returncode == 0, printed


def test_workers_of_a_killed_parent_end_at_once(work: Path) -> None:
    search = miniature.search(
        "train.finetune.learning_rate: {choices: [0.001, 0.002, 0.003]}", sampler={"use": "grid"}
    ).replace("steps: 20", "steps: 100000")
    recipe, out = miniature.write(work, search, "search"), work / "study"
    parent = start("sweep", str(recipe), "--out", str(out), "--workers", "2")
    until(lambda: len(at_work(out)) == 2)
    workers = [int(trial.worker.rpartition(":")[2]) for trial in at_work(out)]
    assert all(map(is_alive, workers))
    parent.kill()
    begun = time.monotonic()
    until(lambda: not any(map(is_alive, workers)))
    # Two seconds is what a machine with nothing else to do takes at most; a busy one runs this test, too. The trials
    # that they are at would take far longer.
    assert time.monotonic() - begun < 30
    parent.communicate(timeout=600)


@pytest.mark.slow
def test_a_sweep_with_failed_trials_has_a_status_of_its_own(work: Path) -> None:
    # The tokenizer of one trial is not there; the others are scored.
    search = miniature.search(
        f"model.backbone.tokenizer: {{choices: [small, {work}/nowhere]}}", sampler={"use": "grid"}
    )
    recipe, out = miniature.write(work, search, "search"), work / "my study"
    process = start("sweep", str(recipe), "--out", str(out))
    _, printed = process.communicate(timeout=600)
    assert process.returncode == TRIALS_FAILED, printed
    assert printed.splitlines()[-1] == (
        f"warning: 1 trial failed: cobra-kit status '{out}' shows why; the same command tries again"
    )
    assert (out / "table.json").is_file()
