"""`cobra-kit run` with workers: the same table, weights, errors and endings as in one process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import miniature
import pytest
from child_commands import at_work, is_alive, start, until

import cobra_kit
from cobra_kit import _plugins
from cobra_kit.cli import main
from cobra_kit.study.reading.status import study_status

FOUR = miniature.ABLATION.replace("  reference: mlp", "  seeds: [1, 2]\n  reference: mlp")
PLUGIN = """
import torch
from cobra_kit.config import ComponentConfig
from cobra_kit.interfaces import Projector, VisualTokens
from cobra_kit.plugin import ProjectorSpec, hookimpl


class BadConfig(ComponentConfig):
    pass


class Bad(Projector):
    def __init__(self, config, *, in_width, max_shape, out_width):
        super().__init__(config, in_width=in_width, max_shape=max_shape, out_width=out_width)
        self.linear = torch.nn.Linear(in_width, out_width)

    def reset_parameters(self, generator=None):
        torch.nn.init.normal_(self.linear.weight, 0, 0.02, generator=generator)
        torch.nn.init.zeros_(self.linear.bias)

    @classmethod
    def output_shape(cls, config, shape):
        return shape

    def forward(self, tokens):
        RAISED
        return VisualTokens(self.linear(tokens.values), tokens.shapes)


@hookimpl
def cobra_projectors():
    target, config = f"{__name__}:Bad", f"{__name__}:BadConfig"
    return [ProjectorSpec(name="linear", summary="fails", target=target, config=config)]
"""
LONG = (
    miniature.ABLATION.replace("steps: 20", "steps: 60")
    .replace("use: mlp/gelu", "use: bad/linear")
    .replace("model.projector", "model.backbone")
    .replace("{projector: {use: mlp/linear}}", "{backbone: {d_state: 8}}")
)
"""Two arms whose projector waits at every call for as long as `PAUSE` says, so that they last on any machine."""
SIDE_BY_SIDE = "4 runs are left; 2 workers train side by side"


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def work(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(shared_cache))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


@pytest.fixture
def pausing(work: Path) -> Path:
    """The plugin of `LONG`, known to this process too."""
    file = work / "bad.py"
    file.write_text(
        PLUGIN.replace("RAISED", "__import__('time').sleep(float(__import__('os').environ.get('PAUSE', '0')))")
    )
    _plugins.configure(files=[file])
    return file


def start_pausing(seconds: float, plugin: Path, *words: str) -> subprocess.Popen[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAUSE", str(seconds))
        return start("--plugin", str(plugin), *words)


def finish(*words: str, status: int = 0) -> str:
    """Does a command to its end and returns what it printed on stderr."""
    process = start(*words)
    _, printed = process.communicate(timeout=900)
    assert process.returncode == status, printed
    return printed


def weights(study: Path) -> Mapping[str, bytes]:
    return {file.parent.name: file.read_bytes() for file in study.glob("runs/*/model.safetensors")}


def table(study: Path) -> dict[str, Any]:
    return miniature.without_times_of(json.loads((study / "table.json").read_text()))


def test_workers_make_the_table_that_one_process_makes(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, alone, together = miniature.write(work, FOUR), work / "alone", work / "together"
    assert main(["run", str(recipe), "--out", str(alone)]) == 0  # within another program no workers start unasked
    assert "side by side" not in capsys.readouterr().err
    assert not (alone / "workers").exists()
    printed = finish("run", str(recipe), "--out", str(together), "--workers", "2")
    lines = printed.splitlines()
    assert SIDE_BY_SIDE in lines
    assert lines.count("scenes: 60 train, 20 val, 24 test pictures") == 1, "each process told it"
    for run in ("mlp-s1", "linear-s1", "mlp-s2", "linear-s2"):
        assert f"{run}: finetune  step 0/20" in lines
        assert any(line.startswith(f"{run}: trained in ") for line in lines)
    assert "finished before" not in printed
    assert lines[-4] == f"table.md and table.json are in {together}"
    assert table(together) == table(alone)
    assert len(weights(alone)) == 4
    assert weights(together) == weights(alone)
    owners = {trial.worker for trial in study_status(together).trials}
    assert owners == {""}, "nobody is at work any more"
    assert len(list((together / "workers").glob("*.log"))) == 2
    assert {file.suffix for file in (together / "workers").iterdir()} == {".log"}
    # Features were computed once: by whoever was first, while the other waited.
    assert sorted(file.name for file in together.glob("features/**/*.safetensors")) == sorted(
        file.name for file in alone.glob("features/**/*.safetensors")
    )
    # Nothing is left, so nobody is started.
    again = finish("run", str(recipe), "--out", str(together), "--workers", "2")
    assert "side by side" not in again
    assert "warning" not in again
    assert "mlp-s1: trained in" in again


@pytest.mark.slow
def test_a_killed_worker_starts_again_and_nothing_else_changes(work: Path, pausing: Path) -> None:
    recipe, calm, out = miniature.write(work, LONG), work / "calm", work / "study"
    cobra_kit.run(recipe, out=calm)
    process = start_pausing(0.2, pausing, "run", str(recipe), "--out", str(out), "--workers", "2")
    until(lambda: len(at_work(out)) == 2)
    os.kill(int(at_work(out)[0].worker.rpartition(":")[2]), signal.SIGKILL)
    _, printed = process.communicate(timeout=900)
    assert process.returncode == 0, printed
    assert re.search(r"warning: worker [01] was killed \(SIGKILL\); it starts again", printed)
    assert weights(out) == weights(calm)
    assert table(out) == table(calm)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_what_is_interrupted_is_saved_and_goes_on_the_other_way(
    work: Path, pausing: Path, number: signal.Signals
) -> None:
    recipe, out = miniature.write(work, LONG), work / "my study"
    process = start_pausing(0.5, pausing, "run", str(recipe), "--out", str(out), "--workers", "2")
    until(lambda: len([trial for trial in at_work(out) if trial.step]) == 2)
    workers = [int(trial.worker.rpartition(":")[2]) for trial in at_work(out)]
    process.send_signal(number)
    _, printed = process.communicate(timeout=900)
    assert process.returncode == 128 + number
    how = "Interrupted" if number == signal.SIGINT else "Ended by SIGTERM"
    assert [line for line in printed.splitlines() if line not in ("interrupted", "ended by SIGTERM")][-2:] == [
        f"{how}. What is done is kept in {out}. To go on:",
        f"  cobra-kit --plugin {pausing} run {recipe} --out '{out}' --workers 2",
    ]
    assert not any(map(is_alive, workers))
    states = [trial.state for trial in study_status(out).trials]
    assert states == ["waiting"] * 2, "given back"
    assert len(list(out.glob("runs/*/checkpoints/*"))) >= 2, "saved"
    if number == signal.SIGINT:
        calm = work / "calm"
        cobra_kit.run(recipe, out=out)
        cobra_kit.run(recipe, out=calm)
        assert weights(out) == weights(calm)


@pytest.mark.slow
def test_what_one_process_began_workers_finish(work: Path) -> None:
    recipe, out, calm = miniature.write(work, FOUR), work / "study", work / "calm"

    def stop(event: object, /) -> None:
        if (getattr(event, "arm", ""), getattr(event, "step", 0)) == ("linear-s1", 7):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cobra_kit.run(recipe, out=out, report=stop)
    printed = finish("run", str(recipe), "--out", str(out))
    expected = "3 runs are left; " if cobra_kit.machine.cores() > 1 else "linear-s1 goes on"
    assert expected in printed
    cobra_kit.run(recipe, out=calm)
    assert weights(out) == weights(calm)
    assert table(out) == table(calm)


def test_an_arm_that_fails_is_told_as_by_one_process(work: Path) -> None:
    broken = miniature.ABLATION.replace("model.projector", "model.backbone").replace(
        "linear: {model: {projector: {use: mlp/linear}}}",
        f"linear: {{model: {{backbone: {{tokenizer: {work}/nowhere}}}}}}",
    )
    recipe = miniature.write(work, broken)
    alone = finish("run", str(recipe), "--out", str(work / "study"), "--workers", "1", status=1)
    error = alone[alone.index("error: ") :]
    assert "nowhere" in error
    together = finish("run", str(recipe), "--out", str(work / "other"), "--workers", "2", status=1)
    assert "side by side" in together
    assert together[together.index("error: ") :].replace("/other", "/study") == error
    states = {trial.name: trial.state for trial in study_status(work / "other").trials}
    assert states["linear-s7"] == "failed"
    # Whoever wants the traceback is shown the worker's.
    debug = finish("--debug", "run", str(recipe), "--out", str(work / "other"), "--fresh", "--workers", "2", status=1)
    assert "Traceback (most recent call last)" in debug
    assert "run_trial.py" in debug
    assert debug[debug.index("error: ") :].replace("/other", "/study") == error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("raised", "status"), [("1 / 0", 1), ("raise KeyboardInterrupt", 1), ("__import__('os')._exit(0)", 1)]
)
def test_a_plugins_fault_is_told_as_its_own(work: Path, raised: str, status: int) -> None:
    plugin = work / "bad.py"
    plugin.write_text(PLUGIN.replace("RAISED", raised))
    recipe = miniature.write(work, miniature.ABLATION.replace("use: mlp/linear", "use: bad/linear"))
    words = ["run", str(recipe), "--plugin", str(plugin)]
    alone = finish(*words, "--out", str(work / "study"), "--workers", "1", status=status)
    error = alone[alone.index("error: ") :]
    assert "bad.py" in error
    together = finish(*words, "--out", str(work / "other"), "--workers", "2", status=status)
    assert "side by side" in together
    told = together[together.index("error: ") :].replace("/other", "/study")
    # Whoever ends the process past Python leaves the word on it in the log, and its place is said too.
    assert told.startswith(error) if "_exit" in raised else told == error


@pytest.mark.slow
def test_workers_of_a_killed_run_end_and_fresh_waits_for_them(work: Path) -> None:
    recipe, out = miniature.write(work, miniature.ABLATION.replace("steps: 20", "steps: 100000")), work / "study"
    process = start("run", str(recipe), "--out", str(out), "--workers", "2")
    until(lambda: len(at_work(out)) == 2)
    workers = [int(trial.worker.rpartition(":")[2]) for trial in at_work(out)]
    # The folder is the first one's alone, whoever works for it.
    for command in ("run", "sweep"):
        refused = finish(command, str(recipe), "--out", str(out), status=1)
        assert f"another process is working on this study: process {process.pid} on " in refused
    process.kill()
    short = ["--set", "train.finetune.steps=2", "--workers", "1"]
    printed = finish("run", str(recipe), "--out", str(out), "--fresh", *short)
    assert not any(map(is_alive, workers))
    assert "linear: trained in" in printed
    process.communicate(timeout=600)


def test_more_workers_than_runs_are_not_started(work: Path) -> None:
    recipe = miniature.write(work, miniature.RECIPE)
    printed = finish("run", str(recipe), "--out", str(work / "study"), "--workers", "3", "--device", "cpu")
    assert "warning: --workers 3, but 1 run is left: 1 will work" in printed
    assert not (work / "study" / "workers").exists()


def test_every_worker_has_a_tracker_of_its_own(work: Path) -> None:
    recipe = work / "miniature.yaml"
    recipe.write_text(FOUR)
    short = ("--set", "train.finetune.steps=2", "--set", "evaluate.benchmarks=[presence]")
    words = ("run", str(recipe), *short, "--set", "evaluate.validation=null", "--out", str(work / "study"))
    finish(*words, "--workers", "2", "--tracker", "trackers/json-lines")
    done: dict[str, str] = {}
    files = list((work / "study" / "trackers").iterdir())
    for file in files:
        for line in map(json.loads, file.open()):
            if line["event"] == "RunDone" and line["worked"]:
                done[line["run"]] = file.name
    assert set(done) == {f"study/{arm}-s{seed}" for arm in ("mlp", "linear") for seed in (1, 2)}
    assert len(files) == 3  # one of the process that started the workers
