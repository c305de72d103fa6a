"""The time of a run on this machine, from its measured speed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cobra_kit.data.rows import Split
from cobra_kit.estimate.counting import PassCount
from cobra_kit.estimate.memory import footprints
from cobra_kit.estimate.sample import Sample
from cobra_kit.estimate.workload import Workload
from cobra_kit.forecast.machine_speed import MachineSpeed
from cobra_kit.forecast.measuring import speed_of
from cobra_kit.forecast.plans import RunPlan
from cobra_kit.weights import available_memory

_PATIENCE = 10.0
"""Seconds that one micro-batch may take for a machine to be measured on it."""


@dataclass(frozen=True, slots=True)
class RuntimeEstimate:
    """Seconds of one run on this machine.

    Args:
        starting: Seconds until the process is ready; once per study.
        drawing: Images that are not drawn yet; once per study.
        features: Encoder features of all splits; once per encoder.
        preparing: Composing the model and tokenising the rows.
        training: The optimiser steps of all stages.
        validation: Looks at the validation split.
        evaluation: The test questions.
        speed: The measured speed that it was computed from.
    """

    starting: float
    drawing: float
    features: float
    preparing: float
    training: float
    validation: float
    evaluation: float
    speed: MachineSpeed

    @property
    def per_training(self) -> float:
        """Returns what every seed costs anew."""
        return self.preparing + self.training + self.validation + self.evaluation

    @property
    def total(self) -> float:
        """Returns the sum."""
        return self.starting + self.drawing + self.features + self.per_training


def runtime_estimate(
    run: RunPlan, works: Sequence[Workload], sample: Sample, *, fresh: bool = False
) -> RuntimeEstimate:
    """Returns what a run takes here; measures for some seconds where the machine's speed is not known.

    Args:
        run: The run that is estimated.
        works: What each of its stages has to do.
        sample: A sample of its data.
        fresh: Whether to measure again what is known already.
    """
    speed = speed_of(run, sample, fresh=fresh)
    training = preparing = 0.0
    settings = run.train.stages()
    for work in works:
        step_seconds, curriculum = speed.stages[work.stage], settings[work.stage].curriculum
        share = curriculum.share if curriculum else 0.0
        training += work.steps * (share * step_seconds.first + (1 - share) * step_seconds.rest)
        preparing += work.rows * step_seconds.tokenising * (2 if curriculum else 1)
    splits: tuple[Split, ...] = ("train", "val", "test") if run.evaluate.validation else ("train", "test")
    encoded = sum(len(sample.source.image_ids(split)) * sample.times[split] for split in splits)
    asking = sum(answering.questions * answering.seconds for answering in speed.benchmarks.values())
    return RuntimeEstimate(
        starting=speed.starting,
        drawing=sample.to_draw * speed.drawing,
        features=encoded * speed.features,
        preparing=speed.composing + preparing,
        training=training,
        validation=_validation(run, works, speed),
        evaluation=asking * sample.times["test"],
        speed=speed,
    )


def _validation(run: RunPlan, works: Sequence[Workload], speed: MachineSpeed) -> float:
    section = run.evaluate.validation
    if section is None or not speed.benchmarks:
        return 0.0
    looks = sum(-(-work.steps // section.every_steps) for work in works)
    each = max(1, section.questions // len(speed.benchmarks))
    return looks * each * sum(answering.seconds for answering in speed.benchmarks.values())


def too_long(passes: Sequence[PassCount]) -> str | None:
    """Returns why a model is too large to be measured on this processor, or None where it is not."""
    memory = available_memory()
    for counted in passes:
        need = footprints(counted, 1, mixed=False)[0].total
        if memory is not None and need > memory:
            return f"does not fit: {need / 1e9:,.1f} GB are needed, {memory / 1e9:,.1f} GB of this machine's are free"
    slowest = max(counted.step_flops for counted in passes)
    rate = matrix_rate()
    if slowest > rate * _PATIENCE:
        return f"one step of {slowest:.3g} FLOPs takes at least {slowest / rate:,.0f} s at {rate / 1e9:,.0f} GFLOP/s"
    return None


def matrix_rate() -> float:
    """Returns FLOP/s of a float32 matrix product on this machine, the best of some."""
    side, best = 768, 0.0
    left, right = torch.rand(side, side), torch.rand(side, side)
    for _ in range(5):
        started = time.perf_counter()
        _ = left @ right
        best = max(best, 2 * side**3 / (time.perf_counter() - started))
    return best
