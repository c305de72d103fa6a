"""What recording trials costs: many short trials, several processes, the embedded storage and PostgreSQL.

    python benchmarks/trials.py                                   # the journal in a folder
    python benchmarks/trials.py --storage postgresql+psycopg://USER@HOST/NAME

Prints one JSON object. `lost` and `doubled` must be 0; `overhead` is what a trial costs beside its own work.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import optuna

from cobra_kit.trials import NAME, LeasedTrial, TrialQueue, TrialSpec, open_storage, work
from cobra_kit.trials.storage_url import STORAGE_VARIABLE

_LONG_TRIAL = 30.0


def board(folder: Path, url: str | None, name: str) -> TrialQueue:
    """Returns the study's trials."""
    storage = open_storage(url, folder)
    study = optuna.create_study(
        storage=storage, study_name=name, load_if_exists=True, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    return TrialQueue(study, folder)


def worker(folder: Path, url: str | None, name: str, seconds: float) -> None:
    """Does trials until none is left; prints how many, and how long they slept."""

    def objective(held: LeasedTrial) -> list[float]:
        x = held.trial.suggest_float("x", 0.0, 1.0)
        with (folder / "runs").open("a") as file:  # one line per execution: whoever ran twice shows
            file.write(f"{held.number}\n")
        time.sleep(seconds)
        return [x]

    queue = board(folder, url, name)
    print("ready", flush=True)
    sys.stdin.readline()  # imports are not what is measured
    work(queue, objective, poll_seconds=0.1)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--storage")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.05, help="how long a trial sleeps")
    parser.add_argument("--worker", nargs=2, metavar=("FOLDER", "NAME"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.worker:
        worker(Path(wanted.worker[0]), os.environ.get(STORAGE_VARIABLE) or None, wanted.worker[1], wanted.seconds)
        return
    with tempfile.TemporaryDirectory() as text:
        folder, name = Path(text), f"benchmark-{time.time_ns()}"
        queue = board(folder, wanted.storage, name)
        started = time.perf_counter()
        queue.provide([TrialSpec(f"p{number}") for number in range(wanted.trials)])
        recorded = time.perf_counter() - started
        command = [sys.executable, __file__, "--seconds", str(wanted.seconds), "--worker", text, name]
        # By the environment: other users see command lines, and the URL may hold a password.
        environment = {**os.environ, STORAGE_VARIABLE: wanted.storage or ""}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
        workers = [subprocess.Popen(command, **pipes) for _ in range(wanted.processes)]
        for process in workers:
            process.stdout.readline()
        started = time.perf_counter()
        for process in workers:
            process.stdin.write("go\n")
            process.stdin.flush()
        codes = [process.wait() for process in workers]
        seconds = time.perf_counter() - started
        states = Counter(trial.state.name for trial in queue.trials())
        ran = Counter((folder / "runs").read_text().split())
        overhead = seconds * wanted.processes / wanted.trials - wanted.seconds
        report = {
            "storage": "postgresql" if wanted.storage else "journal",
            "trials": wanted.trials,
            "processes": wanted.processes,
            "seconds": round(seconds, 2),
            "seconds_to_record": round(recorded, 2),
            "exit_codes": codes,
            "lost": wanted.trials - states["COMPLETE"],
            "doubled": sum(count - 1 for count in ran.values()) + len(queue.trials()) - wanted.trials,
            "named_twice": len(queue.trials()) - len({trial.user_attrs[NAME] for trial in queue.trials()}),
            "overhead_seconds_per_trial": round(overhead, 4),
            f"share_of_a_trial_of_{_LONG_TRIAL:g}_s": round(overhead / _LONG_TRIAL, 5),
        }
        print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
