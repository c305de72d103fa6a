"""Workers of a real study are killed at random; the table is as if nothing had happened.

`COBRA_KIT_KILLS=50 COBRA_KIT_KILL_TRIALS=200` is the whole experiment; the suite has a smaller one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from multiprocessing.context import ForkServerContext
from pathlib import Path

import miniature
import pytest
from child_commands import until
from optuna.trial import TrialState

from cobra_kit.recipe import load_recipe
from cobra_kit.study.execution.study_queue import WorkerOptions
from cobra_kit.study.execution.study_session import open_session, trials_of
from cobra_kit.study.reading.status import study_status

TRIALS = int(os.environ.get("COBRA_KIT_KILL_TRIALS", "16"))
KILLS = int(os.environ.get("COBRA_KIT_KILLS", "6"))
GRID = miniature.search(
    f"train.finetune.learning_rate: {{choices: {[round(0.001 + number / 100_000, 6) for number in range(TRIALS)]}}}",
    sampler={"use": "grid"},
).replace("steps: 20", "steps: 4")


@pytest.mark.slow
def test_kills_lose_and_double_nothing(tmp_path: Path, context: ForkServerContext) -> None:
    recipe = miniature.write(tmp_path, GRID, "search")
    with open_session(trials_of(load_recipe(recipe)), tmp_path / "calm", WorkerOptions()) as session:
        session.work()
        calm = session.table()
    numbers = random.Random(5)
    out = tmp_path / "killed"

    def start():
        process = context.Process(target=miniature.work_on, args=(str(recipe), str(out)))
        process.start()
        return process

    def is_running(worker) -> bool:
        return worker.exitcode is None

    workers, written = [start() for _ in range(2)], 0
    for _ in range(KILLS):
        # Not before steps were made or questions answered since the last kill: on a slow machine all kills could hit
        # one trial at one place, and that is a failure by right.
        until(lambda before=written: _lines(out) > before or not any(map(is_running, workers)), 600)
        time.sleep(numbers.uniform(0, 0.2))
        victim = numbers.randrange(len(workers))
        if not is_running(workers[victim]):
            workers[victim] = start()  # the study was done before all kills were: it has nothing left to do
        assert workers[victim].pid is not None
        os.kill(workers[victim].pid, signal.SIGKILL)
        workers[victim].join()
        written = _lines(out)
        workers[victim] = start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    with open_session(trials_of(load_recipe(recipe)), out, WorkerOptions()) as session:
        assert session.work().completed == 0
        killed = session.table()
    assert [trial.state for trial in study_status(out).trials] == ["complete"] * TRIALS
    assert _ended(out) == {number: 1 for number in range(TRIALS)}
    assert miniature.without_times(killed) == miniature.without_times(calm)
    values = [[trial.values for trial in study_status(place).trials] for place in (out, tmp_path / "calm")]
    assert values[0] == values[1]


def _lines(study: Path) -> int:
    """Returns how many lines the runs have written: steps and answers."""
    return sum(file.read_bytes().count(b"\n") for file in study.glob("runs/**/*.jsonl"))


def _ended(study: Path) -> Counter[int]:
    """Returns how often each trial was recorded as ended, by its number in the journal."""
    entries = [json.loads(line) for line in (study / "trials.journal").read_text().splitlines()]
    ended = {state.value for state in TrialState if state.is_finished()}
    return Counter(entry["trial_id"] for entry in entries if entry.get("state") in ended and "trial_id" in entry)
