"""Pretrains one encoder: data, objective, optimiser, probes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cobra_kit._plugins import call_component
from cobra_kit.data.scenes import SceneDataset, SceneParams, Split, caption, scenes_dataset
from cobra_kit.errors import CobraError
from cobra_kit.events import Message, Reporter, StepDone, silent
from cobra_kit.interfaces import VisionEncoder
from cobra_kit.model.seeding import derive_seed, part_generator
from cobra_kit.train.encoders.contrastive import Contrastive
from cobra_kit.train.encoders.dense import Dense
from cobra_kit.train.encoders.pixels import Encode
from cobra_kit.train.encoders.probe import Probe, probe_tokens
from cobra_kit.train.encoders.recipe import PretrainPlan, PretrainSection
from cobra_kit.train.encoders.resume import ResumeFile
from cobra_kit.train.encoders.scene_instances import SceneInstances, things_of
from cobra_kit.train.optimiser import decay_groups
from cobra_kit.train.schedule import learning_rate_factor

STAGE = "pretrain"
_LOG_EVERY = 100


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What pretraining gives.

    Args:
        encoder: The encoder.
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
    """Pretrains the encoder of a recipe on pictures of the embedded world.

    The same recipe gives the same weights on one machine with one thread (`torch.set_num_threads(1)`).

    Args:
        plan: From `load_pretrain_recipe`.
        resume: Where to keep what a killed run needs to go on; it is read first, and removed at the end.
        report: Told about every step.
        cache_dir: Where pictures are kept; default: the user's cache.

    Raises:
        CobraError: The loss is not a number, or the pictures cannot be made.
        ShapeError: The encoder has no grid of tokens.
        WeightsError: The weights that the encoder's settings name cannot be loaded.
    """
    settings = plan.recipe.train
    encoder = build_encoder(plan)
    encode = Encode(encoder, plan)
    world = _world(plan, report, cache_dir)
    things = _things(world, "towers", encode.grid, report)
    pictures = world.pictures("towers")
    torch.manual_seed(derive_seed(settings.seed, "objective"))  # torch's layers draw from the global generator
    objective = _objective(plan, encoder.width, encode.grid, things, world)
    both = nn.ModuleDict({"encoder": encoder, "objective": objective}).train()
    losses, seconds, trained = _train(plan, both, encode, pictures, resume, report)
    report(Message(text="probing"))
    probes = _probe(plan, encode, world, things, report)
    if resume is not None:
        resume.unlink(missing_ok=True)
    return Pretrained(encoder, trained, probes, losses, seconds)


def build_encoder(plan: PretrainPlan) -> VisionEncoder:
    """Returns the encoder with the weights that its settings name, random ones drawn from the recipe's seed."""
    cls = plan.component.load_class()
    with torch.device("meta"):
        encoder = call_component(plan.component, cls, plan.config)
    assert isinstance(encoder, VisionEncoder)
    encoder.to_empty(device="cpu")
    generator = part_generator(plan.recipe.train.seed, "vision_encoder", encoder)
    call_component(plan.component, encoder.reset_parameters, generator)
    call_component(plan.component, encoder.load_pretrained)
    return encoder


def _train(
    plan: PretrainPlan,
    both: nn.ModuleDict,
    encode: Encode,
    pictures: NDArray[np.uint8],
    resume: Path | None,
    report: Reporter,
) -> tuple[dict[str, float], float, frozenset[str]]:
    """Returns mean losses, seconds, and which of the encoder's parameters the loss reaches."""
    settings = plan.recipe.train
    optimiser = _optimiser(both, settings)
    file = ResumeFile(resume, plan.recipe, both, optimiser)
    start = file.load()
    if start:
        report(Message(text=f"going on after step {start}"))
    log = _Log(settings.steps, report)
    began = time.process_time()
    for step in range(start, settings.steps):
        rows = batch_rows(len(pictures), settings, step)
        rng = Random(f"{settings.seed}/phrases/{step}")
        losses: dict[str, Tensor] = both["objective"](encode(np.stack([pictures[row] for row in rows])), rows, rng)
        loss = torch.stack([*losses.values()]).sum()
        if not torch.isfinite(loss):
            raise CobraError(f"the loss is {loss.item()} at step {step + 1}", hint="Try a smaller train.learning_rate.")
        factor = learning_rate_factor(
            step, steps=settings.steps, warmup_ratio=settings.warmup_ratio, final_ratio=settings.final_lr_ratio
        )
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * factor
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_([p for p in both.parameters() if p.grad is not None], settings.max_grad_norm)
        optimiser.step()
        log.add(step + 1, losses, len(rows) * encode.grid[0] * encode.grid[1])
        file.save_now_and_then(step + 1)
    trained = {name for name, parameter in both["encoder"].named_parameters() if parameter in optimiser.state}
    everything = {name for name, _ in both["encoder"].named_parameters()}
    return log.means, time.process_time() - began, frozenset(trained if settings.steps else everything)


def batch_rows(pictures: int, settings: PretrainSection, step: int) -> NDArray[np.int64]:
    """Returns which pictures a step sees: every epoch has an order of its own, and a rest too small is left out."""
    size = min(settings.batch_size, pictures)
    epoch, place = divmod(step, pictures // size)
    order = np.random.default_rng([settings.seed, epoch]).permutation(pictures)
    rows: NDArray[np.int64] = order[place * size : (place + 1) * size]
    return rows


def _optimiser(both: nn.Module, settings: PretrainSection) -> torch.optim.AdamW:
    parameters = dict(both.named_parameters())
    groups = [
        {"params": [parameters[name] for name in names], "weight_decay": decay}
        for names, decay in zip(decay_groups(both), (settings.weight_decay, 0.0), strict=True)
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)


def _objective(
    plan: PretrainPlan, width: int, grid: tuple[int, int], things: SceneInstances, world: SceneDataset
) -> nn.Module:
    objective = plan.recipe.objective
    if objective.kind == "dense":
        return Dense(width, grid, things, world.pictures("towers"), objective.weights)
    rng = Random(f"{plan.recipe.data.seed}/captions")
    return Contrastive(width, things, [caption(scene, rng) for scene in world.scenes("towers")], objective.weights)


def _world(plan: PretrainPlan, report: Reporter, cache_dir: Path | None) -> SceneDataset:
    data = plan.recipe.data
    params = SceneParams.checked(seed=data.seed, train=0, val=data.probe_test, test=0, towers=data.pictures)
    return scenes_dataset(params, cache_dir, _counted("drawing pictures", report))


def _things(world: SceneDataset, split: Split, grid: tuple[int, int], report: Reporter) -> SceneInstances:
    return things_of(world.scenes(split), grid, _counted("labelling pictures", report))


def _counted(text: str, report: Reporter) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done % 10_000 == 0:
            report(Message(text=f"{text}: {done:,} of {total:,}"))

    return progress


def _probe(
    plan: PretrainPlan, encode: Encode, world: SceneDataset, things: SceneInstances, report: Reporter
) -> list[Probe]:
    count = plan.recipe.data.probe_fit
    fit = SceneInstances(**{field.name: getattr(things, field.name)[:count] for field in fields(things)})
    return probe_tokens(
        (encode.all(world.pictures("towers")[:count]), fit),
        (encode.all(world.pictures("val")), _things(world, "val", encode.grid, report)),
    )


class _Log:
    """Means of the loss terms over the last hundred steps or so, and the speed."""

    def __init__(self, steps: int, report: Reporter) -> None:
        self._steps, self._report = steps, report
        self._sums: dict[str, float] = {}
        self._count, self._tokens = 0, 0
        self._since = time.monotonic()
        self.means: dict[str, float] = {}

    def add(self, step: int, losses: dict[str, Tensor], tokens: int) -> None:
        self._count += 1
        self._tokens += tokens
        for term, loss in losses.items():
            self._sums[term] = self._sums.get(term, 0.0) + loss.item()
        if step % _LOG_EVERY and step != self._steps:
            return
        self.means = {term: total / self._count for term, total in self._sums.items()}
        seconds = max(time.monotonic() - self._since, 1e-9)
        self._report(
            StepDone(
                stage=STAGE,
                step=step,
                steps=self._steps,
                loss=sum(self.means.values()),
                tokens_per_second=self._tokens / seconds,
                seconds_left=seconds / self._count * (self._steps - step),
            )
        )
        terms = ", ".join(f"{term} {mean:.3f}" for term, mean in self.means.items())
        self._report(Message(text=f"step {step:,} of {self._steps:,}: {terms}"))
        self._sums, self._count, self._tokens, self._since = {}, 0, 0, time.monotonic()
