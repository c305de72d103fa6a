"""The events that long work tells whoever watches. Plain values; drawing them is the command line's business.

    def report(event: Event) -> None: ...
    train_run(model, source, settings, folder, report=report)

Events come as often as something happens, up to once per optimiser step: a receiver that draws should throttle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened.

    Args:
        arm: The arm and seed it belongs to, such as `mlp-s7`; empty outside a study.
    """

    arm: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(Event):
    """A stage of training begins or goes on.

    Args:
        stage: Such as `align` or `finetune`.
        steps: Optimiser steps of the whole stage.
        step: Steps that were done before, in an earlier process.
        rows: How many training rows the stage has.
    """

    stage: str
    steps: int
    step: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone(Event):
    """An optimiser step was made.

    Args:
        stage: Name of the stage.
        step: Steps done, this one included.
        steps: Steps of the whole stage.
        loss: Mean per supervised token, of this step.
        tokens_per_second: Real tokens, padding not counted, since the last report of speed.
        seconds_left: Seconds until the stage ends, at that speed.
        learning_rate: The rate of this step; None where whoever tells it does not know.
    """

    stage: str
    step: int
    steps: int
    loss: float
    tokens_per_second: float
    seconds_left: float
    learning_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDone(Event):
    """A stage of training is finished.

    Args:
        stage: Name of the stage.
        steps: How many optimiser steps it took.
        loss: Mean per supervised token over the last logged steps.
        seconds: Spent on it, over all processes.
    """

    stage: str
    steps: int
    loss: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated(Event):
    """The validation split was looked at while training; it selects, it is never reported as a result.

    Args:
        stage: Name of the stage.
        step: How many steps are done.
        figures: Each benchmark's main number and their `mean`, 0 to 1.
    """

    stage: str
    step: int
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run of a study begins or goes on.

    Args:
        folder: Path of the run's folder.
    """

    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Event):
    """A trained model was asked a benchmark, and its answers were scored.

    Args:
        benchmark: The benchmark's name in the table.
        condition: The split, and how it was asked: `test`, `test-shuffled-images`.
        figures: The rule's numbers, the main one first, as shares; None where a rule has nothing to count.
        questions: How many questions were scored.
    """

    benchmark: str
    condition: str
    figures: Mapping[str, float | None]
    questions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDone(Event):
    """A run of a study is trained and scored.

    Args:
        seconds: Seconds of training, over all processes.
        worked: Whether anything was done in this process; False where the run was finished before.
    """

    seconds: float
    worked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """Work that counts up, such as images drawn, features computed or questions answered.

    Args:
        task: What is done, as a user reads it: `features of siglip/tiny`.
        done: How many units are done.
        total: How many units there are.
        unit: The unit that is counted, such as `images`.
    """

    task: str
    done: int
    total: int
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Event):
    """Something a user should read.

    Args:
        text: One or more lines.
        level: `warning` where something is not as it should be.
    """

    text: str
    level: Literal["info", "warning"] = "info"


class Reporter(Protocol):
    """A function that is told about events."""

    def __call__(self, event: Event, /) -> None:
        """Takes note of an event; called from the thread that does the work."""
        ...


def silent(event: Event, /) -> None:
    """Tells nobody; the reporter where none is given."""


def for_arm(report: Reporter, arm: str) -> Reporter:
    """Returns a reporter that passes events on under the name of an arm."""

    def labelled(event: Event, /) -> None:
        report(replace(event, arm=arm))

    return labelled
