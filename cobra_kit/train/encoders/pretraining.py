"""Pretrains one encoder: data, objective, training, probes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cobra_kit._plugins import attributed, call_component
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.interfaces import Probe, VisionEncoder
from cobra_kit.model.filling import fill
from cobra_kit.model.seeding import derive_seed, part_generator
from cobra_kit.train.encoders.pixels import Encode
from cobra_kit.train.encoders.recipe import PretrainPlan
from cobra_kit.train.encoders.resume import ResumeFile
from cobra_kit.train.encoders.task import INTERVALS, EncoderTask
from cobra_kit.train.interrupt import Interrupt
from cobra_kit.train.loop import TrainingLoop


@dataclass(frozen=True, slots=True)
class Pretrained:
    """The result of pretraining.

    Args:
        encoder: The encoder with its weights.
        trained: Names of its parameters that the loss reaches; all of them after 0 steps.
        probes: What linear probes read from its tokens.
        losses: Mean of each weighted term over the last steps; empty after 0 steps.
        seconds: Processor seconds of this process from the first step to the last.
    """

    encoder: VisionEncoder
    trained: frozenset[str]
    probes: list[Probe]
    losses: dict[str, float]
    seconds: float


def pretrain(
    plan: PretrainPlan, *, resume: Path | None = None, report: Reporter = silent, cache_dir: Path | None = None
) -> Pretrained:
    """Pretrains the encoder of a recipe on the images of its task.

    The same recipe gives the same weights on one machine with one thread (`torch.set_num_threads(1)`).

    Args:
        plan: What `load_pretrain_recipe` returned.
        resume: Where to keep what a killed run needs to go on; it is read first, and removed at the end.
        report: Told about every step.
        cache_dir: Where images are kept; default: the user's cache.

    Raises:
        CobraError: The loss is not a number, or the images cannot be made.
        ShapeError: The encoder has no grid of tokens.
        WeightsError: The weights that the encoder's settings name cannot be loaded.
    """
    settings = plan.recipe.train
    encoder = build_encoder(plan)
    encode = Encode(encoder, plan)
    with attributed((plan.component, plan.task)):
        task = plan.task.load_encoder_pretraining()(plan.recipe, report, cache_dir)
        images = task.images()
        torch.manual_seed(derive_seed(settings.seed, "objective"))  # torch's layers draw from the global generator
        objective = task.objective(encoder.width, encode.grid)
        both = nn.ModuleDict({"encoder": encoder, "objective": objective}).train()
        work = EncoderTask(both, encode, images, settings, report)
        seconds, trained = _train(plan, encoder, work, resume, report)
        report(Message(text="probing"))
        probes = list(task.probe(encode.all, encode.grid))
    if resume is not None:
        resume.unlink(missing_ok=True)
    return Pretrained(encoder, trained, probes, work.means, seconds)


def build_encoder(plan: PretrainPlan) -> VisionEncoder:
    """Returns the encoder with the weights that its settings name, random ones drawn from the recipe's seed."""
    cls = plan.component.load_class()
    with torch.device("meta"):
        encoder = call_component(plan.component, cls, plan.config)
    assert isinstance(encoder, VisionEncoder)
    generator = part_generator(plan.recipe.train.seed, "vision_encoder", encoder)
    fill(encoder, plan.component, generator, pretrained=True)
    return encoder


def _train(
    plan: PretrainPlan, encoder: VisionEncoder, task: EncoderTask, resume: Path | None, report: Reporter
) -> tuple[float, frozenset[str]]:
    """Returns seconds, and which of the encoder's parameters the loss reaches."""
    file = None if resume is None else ResumeFile(resume, plan.recipe, task.module)
    state = None if file is None else file.load()
    if state is not None:
        report(Message(text=f"going on after step {state.progress.step}"))
    loop = TrainingLoop(task, INTERVALS, report=report, save=None if file is None else file.save, resume=state)
    began = time.process_time()
    loop.run(Interrupt())
    seconds = time.process_time() - began
    everything = (f"encoder.{name}" for name, _ in encoder.named_parameters())
    reached = loop.updated_parameters() if task.steps else everything
    return seconds, frozenset(n.removeprefix("encoder.") for n in reached if n.startswith("encoder."))
