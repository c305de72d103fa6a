"""The core trains whatever task it is handed: here a line through a few points."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from cobra_kit.events import StepDone
from cobra_kit.train.interrupt import Interrupt
from cobra_kit.train.loop import TrainingLoop, TrainIntervals
from cobra_kit.train.task import StepWork, TrainingTask

SETTINGS = SimpleNamespace(
    learning_rate=0.05, weight_decay=0.1, betas=(0.9, 0.98), warmup_ratio=0.1, final_lr_ratio=0.1, max_grad_norm=1.0
)
EVERY_STEP = TrainIntervals(log_steps=4, save_seconds=0)


class LineTask(TrainingTask):
    """Learns y = 2 x + noise; the noise comes from torch's generator, so that resume has to put it back."""

    name, device, steps, settings = "line", torch.device("cpu"), 10, SETTINGS

    def __init__(self, broken_at=None):
        torch.manual_seed(0)
        self.module = torch.nn.Linear(1, 1)
        self.parameters = list(self.module.parameters())
        self.broken_at, self.drawn, self.logged = broken_at, 0, []

    def accumulate(self, step):
        self.drawn += 1
        x = torch.randn(8, 1)
        loss = (self.module(x) - 2 * x).square().mean() * (float("nan") if step == self.broken_at else 1)
        loss.backward()
        return StepWork(loss.detach(), tokens=8, padded_tokens=10)

    def position(self):
        return {"drawn": self.drawn}

    def restore(self, position):
        self.drawn = position["drawn"]

    def log(self, step, figures):
        self.logged.append((step, figures))

    def not_finite(self, error, step, *, saved):
        return ValueError(f"{error} after step {step}, {'saved' if saved else 'not saved'}")


def saver(task, kept):
    def save(state):
        weights = {name: tensor.clone() for name, tensor in task.module.state_dict().items()}
        tensors = {name: tensor.clone() for name, tensor in state.optimiser.items()}
        progress = dataclasses.replace(state.progress)
        kept.append((weights, dataclasses.replace(state, progress=progress, optimiser=tensors)))

    return save


def test_it_goes_on_from_any_step_bit_for_bit():
    whole, kept = LineTask(), []
    assert TrainingLoop(whole, EVERY_STEP, report=[].append, save=saver(whole, kept)).run(Interrupt())
    assert [state.progress.step for _, state in kept] == list(range(1, 10)), "the last step is the caller's to save"
    assert [step for step, _ in whole.logged] == [4, 8, 10]
    for weights, state in kept:
        task = LineTask()
        task.module.load_state_dict(weights)
        assert TrainingLoop(task, EVERY_STEP, report=[].append, resume=state).run(Interrupt())
        assert task.drawn == 10
        assert all(torch.equal(whole.module.state_dict()[n], t) for n, t in task.module.state_dict().items())
        assert task.logged[-1][1]["loss"] == whole.logged[-1][1]["loss"]


def test_a_step_that_fails_is_not_in_what_is_saved():
    task, kept = LineTask(broken_at=3), []
    with pytest.raises(ValueError, match="the loss is nan after step 3, saved"):
        TrainingLoop(task, TrainIntervals(save_seconds=1e6), report=[].append, save=saver(task, kept)).run(Interrupt())
    [(_, state)] = kept
    assert (state.progress.step, state.position) == (3, {"drawn": 3})
    with pytest.raises(ValueError, match="not saved"):
        TrainingLoop(LineTask(broken_at=0), EVERY_STEP, report=[].append).run(Interrupt())


def test_events_come_as_often_as_asked():
    events = []
    TrainingLoop(LineTask(), TrainIntervals(report_steps=4), report=events.append).run(Interrupt())
    assert [(event.step, event.steps) for event in events if isinstance(event, StepDone)] == [
        (4, 10),
        (8, 10),
        (10, 10),
    ]


def test_an_interrupt_saves_and_stops():
    task, kept = LineTask(), []
    pressed = Interrupt()
    loop = TrainingLoop(task, TrainIntervals(save_seconds=1e6), report=[].append, save=saver(task, kept))
    pressed.number = 2
    assert not loop.run(pressed)
    assert loop.progress.step == len(kept) == 1


def test_a_section_with_options_is_the_short_form_of_settings(tmp_path):
    from cobra_kit.errors import ArgumentError
    from cobra_kit.recipe.sections import TrainSection
    from cobra_kit.train import RunSettings, TrainIntervals
    from cobra_kit.train.run import _settings

    section, pace = TrainSection.model_validate({"finetune": {"steps": 2}}), TrainIntervals(log_steps=3)
    assert _settings(section, {"seed": 4, "pace": pace}) == RunSettings(section, seed=4, intervals=pace)
    with pytest.raises(ArgumentError, match="settings say everything: seed"):
        _settings(RunSettings(section, seed=4), {"seed": 5})
