"""Trains a toy slowly enough to be killed; tests/unit/train/test_kill.py runs it as a process of its own."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from toy_source import ToySource

from cobra_kit import _plugins
from cobra_kit.events import Event, StageStarted, StepDone
from cobra_kit.model import compose
from cobra_kit.recipe.sections import TrainSection
from cobra_kit.train import RunSettings, TrainIntervals, train_run

torch.empty(1, device="meta").normal_()  # imports three seconds' worth of torch, once for all processes
torch.optim.AdamW([torch.zeros(1)])

STAGE = {"steps": 60, "batch_size": 4, "learning_rate": 0.02}
BEGINNING = {"curriculum": {"kinds": ["colour"], "share": 0.3}, "loss_unit": "answer"}


def main(recipe: Path, folder: Path, slow_end: bool = False) -> None:
    """Leaves `final.pt` in the folder when it is done; `said.txt` has a line per stage begun, with its step.

    Args:
        recipe: Path of the recipe.
        folder: Where it trains.
        slow_end: Dawdle over the last steps, so that whoever is to kill it comes in time, however fast the machine is.
    """
    torch.set_num_threads(1)
    _plugins.configure(files=[Path(__file__).with_name("toy_plugin.py")])

    def report(event: Event) -> None:
        if isinstance(event, StageStarted):
            with open(folder / "said.txt", "a") as file:
                file.write(f"{event.stage} {event.step}\n")
        if isinstance(event, StepDone):
            last = slow_end and event.stage == "finetune" and event.step > STAGE["steps"] - 10
            time.sleep(1.0 if last else 0.01)

    section = TrainSection.model_validate({"align": {**STAGE, "steps": 20}, "finetune": {**STAGE, **BEGINNING}})
    model = compose(recipe)
    intervals = TrainIntervals(log_steps=1, save_seconds=0.02)
    try:
        train_run(model, ToySource(), RunSettings(section, seed=1, intervals=intervals), folder, report=report)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    torch.save(model.state_dict(), folder / "final.pt")
