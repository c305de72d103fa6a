"""The smallest study that goes all the way: drawn images, two arms, twenty steps, every benchmark; seconds in all."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any

ENCODER = "siglip/tiny, weights: none, width: 24, depth: 2, heads: 2"
RECIPE = f"""
title: Miniature
model:
  vision_encoder: {{use: {ENCODER}}}
  projector: {{use: mlp/gelu}}
  fusion: {{use: fusion/image-first}}
  backbone: {{use: mamba/tiny, d_model: 32, n_layer: 1, d_state: 4}}
data: {{source: scenes, train: 60, val: 20, test: 24}}
train:
  finetune: {{steps: 20, batch_size: 4}}
evaluate:
  max_new_tokens: 4
  batch_size: 16
  validation: {{every_steps: 10, questions: 12}}
"""
ABLATION = f"""{RECIPE}
ablation:
  factor: model.projector
  reference: mlp
  arms:
    mlp: {{}}
    linear: {{model: {{projector: {{use: mlp/linear}}}}}}
"""


def without_times(table: Any) -> dict[str, Any]:
    """Returns a table as plain data, without what a clock measured and where it was."""
    from cobra_kit.report import table_to_json

    return without_times_of(json.loads(table_to_json(table)))


def without_times_of(plain: dict[str, Any]) -> dict[str, Any]:
    """Returns a table that is plain data already, without what a clock measured and where it was."""
    del plain["machines"]
    for cost in plain["costs"].values():
        del cost["training_seconds"], cost["tokens_per_second"], cost["shared_seconds"]
    return plain


def run_and_die(recipe: str, out: str, events: int, delay: float) -> None:
    """Runs a study in this process and kills the process with SIGKILL, a while after it has reported some events."""
    import cobra_kit
    from cobra_kit.train import TrainIntervals

    seen = 0

    def report(event: object, /) -> None:
        nonlocal seen
        seen += 1
        if seen == events:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()

    cobra_kit.run(
        recipe, out=out, control="shuffled-images", report=report, pace=TrainIntervals(log_steps=1, save_seconds=0.0)
    )
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)  # a timer may still be waiting


def run_and_die_in(recipe: str, out: str, stage: str, step: int) -> None:
    """Runs a study in this process and kills the process with SIGKILL at a step of a stage."""
    import cobra_kit
    from cobra_kit.train import TrainIntervals

    def report(event: object, /) -> None:
        if (getattr(event, "stage", ""), getattr(event, "step", 0)) == (stage, step):
            os.kill(os.getpid(), signal.SIGKILL)

    cobra_kit.run(recipe, out=out, report=report, pace=TrainIntervals(log_steps=1, save_seconds=0.0))


def write(folder: Path, text: str = ABLATION, name: str = "miniature") -> Path:
    """Writes a recipe and returns its path."""
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def search(space: str, **section: object) -> str:
    """Returns a recipe with a search: its space, a line per path, and the rest of the section `sweep` as JSON."""
    rest = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in section.items())
    lines = "".join(f"    {line.strip()}\n" for line in space.strip().splitlines())
    return f"{RECIPE.replace('title: Miniature', 'title: Miniature search')}sweep:\n{rest}  space:\n{lines}"


def work_on(recipe: str, out: str, storage: str | None = None, gate: tuple[Semaphore, Semaphore] | None = None) -> None:
    """Does trials of a study until none is left, saving after every step.

    Args:
        recipe: Path of the recipe.
        out: The study's folder.
        storage: URL of a database.
        gate: In the middle of every training the first is released, and the second is waited for.
    """
    from cobra_kit.events import StepDone
    from cobra_kit.recipe import load_recipe
    from cobra_kit.study.execution.study_queue import WorkerOptions
    from cobra_kit.study.execution.study_session import open_session, trials_of
    from cobra_kit.train import TrainIntervals

    def report(event: object, /) -> None:
        if gate is not None and isinstance(event, StepDone) and event.step == event.steps // 2:
            gate[0].release()
            assert gate[1].acquire(timeout=600), "nobody opened the gate"

    trials, options = trials_of(load_recipe(recipe)), WorkerOptions(storage=storage)
    pace = TrainIntervals(log_steps=1, save_seconds=0.0)
    with open_session(trials, Path(out), options, report=report, pace=pace) as session:
        session.work()
