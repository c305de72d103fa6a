"""A process that is killed again and again ends with the very weights of one that was left alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import killed_run
import pytest
import torch
from toy_recipe import RECIPE

CLOCK = {"seconds", "tokens_per_second", "padded_tokens_per_second", "crc32"}


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    """Processes that need not import torch each for itself: a server that has done so makes them."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["killed_run", "toy_plugin", "cobra_kit.text.tokenizer"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return server


@pytest.fixture(scope="module")
def undisturbed(context, tmp_path_factory) -> tuple[Path, dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "toy.yaml").write_text(RECIPE)
    return folder, finish(context, folder / "toy.yaml", folder / "run")


def start(context, recipe, folder, slow_end=False):
    folder.mkdir(exist_ok=True)
    process = context.Process(target=killed_run.main, args=(recipe, folder, slow_end))
    process.start()
    return process


def finish(context, recipe, folder):
    process = start(context, recipe, folder)
    process.join()
    assert process.exitcode == 0
    return torch.load(folder / "final.pt")


def stages_begun(folder):
    path = folder / "said.txt"
    return path.read_text().splitlines() if path.exists() else []


def disturb(context, recipe, folder, number, delay, ready=lambda: True) -> bool:
    """Sends a signal some time after training went on and was `ready`, or before that if `delay` is below 0.

    Returns whether the process was still there.
    """
    before = len(stages_begun(folder))
    process = start(context, recipe, folder, slow_end=True)
    while delay >= 0 and process.is_alive() and not (len(stages_begun(folder)) > before and ready()):
        time.sleep(0.005)
    time.sleep(abs(delay))
    if process.is_alive():
        os.kill(process.pid, number)
    process.join()
    assert process.exitcode in {signal.SIGKILL: (0, -9), signal.SIGINT: (0, 1, 130)}[number]
    return process.exitcode != 0


def has_saved(folder) -> bool:
    """Returns whether there is a whole checkpoint; what is being written has a name that begins with a dot."""
    return any(not path.name.startswith(".") for path in folder.glob("checkpoints/*.safetensors"))


def went_on(folder) -> bool:
    """Returns whether a process began a stage behind its first step."""
    return {line.split()[1] for line in stages_begun(folder)} - {"0"} != set()


def steady(folder):
    """The metrics without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in CLOCK} for line in lines]


@pytest.mark.parametrize(("number", "times"), [(signal.SIGKILL, 10), (signal.SIGINT, 4)])
def test_killed_at_random_moments_it_ends_the_same(context, undisturbed, tmp_path, number, times):
    home, expected = undisturbed
    moments = random.Random(int(number))
    for attempt in range(3):  # on a busy machine signals come late, to a training that has ended
        folder = tmp_path / f"run{attempt}"
        killed = [
            disturb(context, home / "toy.yaml", folder, number, moments.uniform(-0.05, 0.15)) for _ in range(times)
        ]
        # On a slow one all of them may have come before the first checkpoint.
        killed.append(disturb(context, home / "toy.yaml", folder, number, 0, lambda place=folder: has_saved(place)))
        weights = finish(context, home / "toy.yaml", folder)
        # Equal bits: every process computes on one thread, and goes on from exactly what another has written.
        assert [name for name in expected if not torch.equal(expected[name], weights[name])] == []
        assert steady(folder) == steady(home / "run")
        assert len(list((folder / "checkpoints").iterdir())) <= 2, "leftovers of killed writers"
        if sum(killed) > times / 2:
            break
    assert sum(killed) > times / 2, "most signals came too late to test anything"
    assert went_on(folder), "no process went on from a checkpoint"


def test_ctrl_c_loses_no_step(context, undisturbed, tmp_path):
    home, _ = undisturbed
    run = tmp_path / "run"
    metrics = run / "metrics.jsonl"
    assert disturb(context, home / "toy.yaml", run, signal.SIGINT, 0, lambda: metrics.exists() and metrics.read_bytes())
    reached = steady(tmp_path / "run")[-1]
    assert disturb(context, home / "toy.yaml", tmp_path / "run", signal.SIGINT, 0)
    assert stages_begun(tmp_path / "run")[-1] == f"{reached['stage']} {reached['step']}"
