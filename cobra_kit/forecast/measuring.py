"""Measures this machine: a few seconds of what a run does, on a sample of the recipe's own data.

A peak says nothing about a small model on a processor, so the very model is composed and every kind of work that a
run consists of is done a little: drawing, encoder features, tokenising, optimiser steps of each stage on the recipe's
own batches, and answering questions of each benchmark.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from cobra_kit.data.curriculum import rows_of_kinds
from cobra_kit.data.features import FeatureCache
from cobra_kit.data.images import Images, LiveImages
from cobra_kit.data.prepared import RowForm, TrainingSet
from cobra_kit.data.rows import Benchmark, TrainingRow
from cobra_kit.data.sampler import LengthGroupedSampler
from cobra_kit.estimate.sample import Sample
from cobra_kit.evaluate.precision import apply_precision
from cobra_kit.evaluate.predict import answer
from cobra_kit.evaluate.score import score
from cobra_kit.forecast.machine_speed import Answering, MachineSpeed, StageSpeed, keep_speed, known_speed
from cobra_kit.forecast.plans import RunPlan
from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.recipe.sections import StageSection
from cobra_kit.text.choices import answer_ids
from cobra_kit.train.mixed_precision import product_dtype
from cobra_kit.train.optimiser import make_optimiser
from cobra_kit.train.stages import STAGES, Stage, set_stage, stage_rows
from cobra_kit.train.step import optimiser_step

_START = (
    "import sys, cobra_kit.train, cobra_kit.evaluate.score, cobra_kit.evaluate.validation, cobra_kit.model as model; "
    "model.compose(sys.argv[1], device='meta')"
)
_WARM_UP = 3  # the first steps compile kernels and fill caches, and say nothing about the others
_STEPS = 12
_SECONDS = 3.0
_QUESTIONS = 128
_IMAGES, _ROWS = 320, 2000


def speed_of(run: RunPlan, sample: Sample, *, fresh: bool = False) -> MachineSpeed:
    """Returns this machine's speed on a run, measured once per machine, model and settings.

    Args:
        run: The run whose speed is asked for.
        sample: A sample of its data.
        fresh: Whether to measure again what is known already.
    """
    speed = None if fresh else known_speed(run)
    if speed is None:
        speed = measure(run, sample)
        keep_speed(run, speed)
    return speed


def measure(run: RunPlan, sample: Sample) -> MachineSpeed:
    """Does a little of everything that a run does, and returns how long it took."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    with TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        started = time.perf_counter()
        model = compose(run.resolved, seed=run.seed)
        composing = time.perf_counter() - started
        images, features = _images(run, model, sample, Path(folder))
        stages = {
            name: _stage_speed(name, settings, model, sample, images) for name, settings in run.train.stages().items()
        }
        return MachineSpeed(
            measured=datetime.now(UTC).isoformat(timespec="seconds"),
            load=load,
            starting=_starting(run, Path(folder)),
            composing=composing,
            drawing=sample.drawing_seconds,
            features=features,
            stages=stages,
            benchmarks=dict(_answering(run, model, sample, Path(folder))),
        )


def _starting(run: RunPlan, folder: Path) -> float:
    """Returns how long another process takes to import everything and to build the model's shapes."""
    recipe = folder / "recipe.yaml"
    recipe.write_text(run.resolved.to_yaml(), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _START, str(recipe)], env=environment, capture_output=True, check=False
    )
    return time.perf_counter() - started if done.returncode == 0 else 0.0


def _images(run: RunPlan, model: VisionLanguageModel, sample: Sample, folder: Path) -> tuple[Images, float]:
    """Returns some training images as the run has them, and the seconds that an image's features take."""
    names = list(sample.source.image_ids("train"))[:_IMAGES]
    if not _is_encoder_frozen(run):
        return LiveImages(model, sample.source, names, folder), 0.0
    FeatureCache.of(model, sample.source, names[:8], folder)  # the first call of anything is slow
    started = time.perf_counter()
    images = FeatureCache.of(model, sample.source, names, folder)
    return images, (time.perf_counter() - started) / max(1, len(names))


def _is_encoder_frozen(run: RunPlan) -> bool:
    return all(STAGES[stage].frozen_encoder for stage in run.train.stages())


def _stage_speed(
    name: str, settings: StageSection, model: VisionLanguageModel, sample: Sample, images: Images
) -> StageSpeed:
    stage = STAGES[name]
    listed = stage_rows(stage, sample.source)
    there = set(list(sample.source.image_ids("train"))[:_IMAGES])
    rows = list(islice((row for row in listed if there.issuperset(row.images)), _ROWS))
    set_stage(model, stage)
    first = settings.curriculum and rows_of_kinds(rows, settings.curriculum.kinds)
    rest, tokenising = _seconds_per_step(rows, stage, settings, model, images)
    start = _seconds_per_step(first, stage, settings, model, images)[0] if first else rest
    return StageSpeed(start, rest, tokenising)


def _seconds_per_step(
    rows: Iterable[TrainingRow],
    stage: Stage,
    settings: StageSection,
    model: VisionLanguageModel,
    images: Images,
) -> tuple[float, float]:
    """Returns the seconds of a step, and those of tokenising a row."""
    listed = list(rows)
    started = time.perf_counter()
    form = RowForm(captions=stage.captions, text=stage.text, loss_unit=settings.loss_unit)
    prepared = TrainingSet(listed, model.processor, images, form)
    tokenising = (time.perf_counter() - started) / len(listed)
    sampler = LengthGroupedSampler(prepared.lengths, settings.batch_size, seed=0)
    optimiser, products = make_optimiser(model, settings), product_dtype(settings.precision, model.device)
    size = settings.micro_batch_size or settings.batch_size
    taken: list[float] = []
    while len(taken) < _WARM_UP + 2 or (len(taken) < _WARM_UP + _STEPS * 8 and sum(taken[_WARM_UP:]) < _SECONDS):
        begun = time.perf_counter()
        numbers = sampler.next_batch()
        batches = [prepared.batch(numbers[i : i + size]) for i in range(0, len(numbers), size)]
        optimiser_step(model, batches, optimiser, settings.max_grad_norm, products)
        taken.append(time.perf_counter() - begun)
    measured = taken[_WARM_UP:]
    return sum(measured) / len(measured), tokenising


def _answering(
    run: RunPlan, model: VisionLanguageModel, sample: Sample, folder: Path
) -> Iterable[tuple[str, Answering]]:
    """Yields per benchmark how long its questions take, scoring included; the model takes the run's precision."""
    if not sample.times["test"]:
        return
    offered = sample.source.benchmarks("test")
    own = run.evaluate.own_benchmarks
    wanted = tuple(offered) if own is None else own
    names = sample.source.image_ids("test")
    opened = FeatureCache.of if _is_encoder_frozen(run) else LiveImages
    images: Images = opened(model, sample.source, names, folder)
    precision = apply_precision(model, run.evaluate.precision)
    for name in wanted:
        benchmark = offered.get(name)
        if benchmark is None or not benchmark.questions:
            continue
        questions = benchmark.questions[:_QUESTIONS]
        most = min(run.evaluate.max_new_tokens, _answer_tokens(model, sample, name))
        started = time.perf_counter()
        answers = answer(
            model,
            questions,
            images,
            max_new_tokens=most,
            batch_size=run.evaluate.batch_size,
            precision=precision,
        )
        score(_first(benchmark, len(questions)), answers)
        yield name, Answering(len(benchmark.questions), (time.perf_counter() - started) / len(questions))


def _first(benchmark: Benchmark, count: int) -> Benchmark:
    from cobra_kit.evaluate.validation import with_questions

    return with_questions(benchmark, list(range(count)))


def _answer_tokens(model: VisionLanguageModel, sample: Sample, kind: str) -> int:
    """Returns the longest answer to a question of a kind among the training rows, its end included.

    A trained model stops there; the untrained one that is timed would go on to the limit.
    """
    codec = model.processor.codec
    answers = {
        text
        for row in islice(sample.source.rows, _QUESTIONS * 4)
        for (_, text), question_type in zip(row.turns, row.kinds, strict=False)
        if question_type == kind
    }
    return max((len(answer_ids(text, codec)) for text in answers), default=10**6)
