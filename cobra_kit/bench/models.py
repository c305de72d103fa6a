"""The models that are measured: with random weights drawn where they run, or with the weights that a recipe names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import torch

from cobra_kit.bench.settings import OF_RECIPE
from cobra_kit.bench.stand_in import stand_in_codec
from cobra_kit.bench.subjects import Subject
from cobra_kit.errors import CobraError, WeightsError
from cobra_kit.estimate.missing import missing_weights
from cobra_kit.model import Processor, VisionLanguageModel, compose
from cobra_kit.model.building import processor_of
from cobra_kit.model.filling import fill
from cobra_kit.model.multimodal_module import Composition
from cobra_kit.model.placement import part_dtypes, place
from cobra_kit.model.seeding import derive_seed, part_generator

if TYPE_CHECKING:
    from cobra_kit.interfaces import Component
    from cobra_kit.recipe import ResolvedPart


def build(subject: Subject, *, device: torch.device, dtype: torch.dtype, weights: str) -> VisionLanguageModel:
    """Returns a model in eval mode on its device.

    Args:
        subject: What it is composed from.
        device: The device that its weights are put on.
        dtype: Floating-point type of its weights; parameters that a backbone lists as `never_quantise` stay float32.
        weights: `random` or `recipe`.

    Raises:
        WeightsError: With `recipe`: a part of the recipe names no weights, or they are not here.
        CobraError: The model cannot be built.
    """
    if weights == OF_RECIPE:
        _check_weights(subject)
        model = compose(subject.resolved, device=device, dtype=dtype)
    else:
        model = _random(subject, device, dtype)
    return model.eval().requires_grad_(False)


def _random(subject: Subject, device: torch.device, dtype: torch.dtype) -> VisionLanguageModel:
    resolved = subject.resolved
    model = compose(resolved, device="meta")
    dtypes = part_dtypes(resolved.recipe, device, dtype)
    for kind, module in model.parts().items():
        _fill(cast("Component", module), resolved.parts[kind], device, resolved.recipe.seed)
        place(module, device, dtypes[kind])
    return VisionLanguageModel(
        model.vision_encoder,
        model.projector,
        model.fusion,
        model.backbone,
        Composition(partial(_processor, subject, model.backbone.vocab_size), model.components, resolved),
    )


def _fill(module: Component, part: ResolvedPart, device: torch.device, seed: int) -> None:
    """Gives a part random weights on its device, which draws them many times faster than a CPU for large parts.

    The contract promises that on the CPU only; a part that cannot is filled there.
    """
    kind = part.component.kind
    if device.type != "cpu":
        try:
            with torch.random.fork_rng(devices=[device]):
                torch.manual_seed(derive_seed(seed, kind))
                fill(module, part.component, None, device=device)
            return
        except (RuntimeError, TypeError, CobraError):
            pass  # most often a generator or a constant of the CPU's; what is really wrong shows there again
    fill(module, part.component, part_generator(seed, kind, module))


def _processor(subject: Subject, vocab_size: int) -> Processor:
    """Returns a model's processor; where the tokenizer's files are not on this machine, one with a stand-in for it."""
    try:
        return processor_of(subject.resolved)
    except CobraError:
        return processor_of(subject.resolved, stand_in_codec(vocab_size))


def _check_weights(subject: Subject) -> None:
    resolved = subject.resolved
    without = [
        part.component.qualified
        for kind, part in resolved.parts.items()
        if kind in ("backbone", "vision_encoder") and getattr(part.config, "weights", "none") == "none"
    ]
    if without:
        raise WeightsError(
            f"{subject.name} names no weights for {' and '.join(without)}",
            where="--weights recipe",
            hint="Use --weights random: times do not depend on the weights' values.",
        )
    missing = missing_weights(compose(resolved, device="meta"), resolved)
    if missing:
        remedies = [remedy for thing in missing for remedy in thing.remedies]
        raise WeightsError(
            f"{subject.name}: {missing[0].what} is not on this machine",
            where="--weights recipe",
            hint="\n".join([*remedies, "Or use --weights random: times do not depend on the weights' values."]),
        )
