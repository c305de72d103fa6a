"""The figures of a pretrained backbone's card: what only the run itself can tell."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch

from cobra_kit.formatting import plural
from cobra_kit.train.backbones.pretraining import PretrainedBackbone
from cobra_kit.train.backbones.recipe import BackbonePlan


def card_figures(plan: BackbonePlan, result: PretrainedBackbone, file: Path, command: str) -> list[str]:
    """Returns the lines of a card that a run fills in: file, data, cost and probes, as Markdown.

    Args:
        plan: The recipe that the backbone was made by.
        result: The backbone and its probes.
        file: The file that it was written to.
        command: The command that made it.
    """
    return [
        *_made_with(plan, result, file, command),
        "",
        *_data(plan, result),
        "",
        *_cost(result),
        "",
        *_probes(result),
    ]


def _made_with(plan: BackbonePlan, result: PretrainedBackbone, file: Path, command: str) -> Iterator[str]:
    count = sum(parameter.numel() for parameter in result.backbone.parameters())
    size = file.stat().st_size
    yield f"`{file.name}`, {size:,} bytes, float16, {count:,} parameters; vocabulary {result.vocabulary}."
    yield ""
    yield "## Made with"
    yield f"`{command}` (recipe `{plan.name}`, seed {plan.recipe.train.seed}),"
    yield f"at version {version('cobra-kit')}, torch {version('torch')}, {plural(torch.get_num_threads(), 'thread')}."


def _data(plan: BackbonePlan, result: PretrainedBackbone) -> Iterator[str]:
    sections = plan.recipe.train
    yield "## Data"
    yield result.data
    for stage in result.stages:
        settings = getattr(sections, stage.stage)
        seen = stage.steps * settings.batch_size
        yield (
            f"- `{stage.stage}`: {stage.rows:,} rows, {stage.steps:,} steps of {settings.batch_size} "
            f"({seen / stage.rows:.1f} passes, {stage.tokens:,} tokens), loss at the end {stage.loss:.3f}"
        )


def _cost(result: PretrainedBackbone) -> Iterator[str]:
    yield "## Cost"
    yield f"{result.seconds:,.0f} seconds in steps, by the clock."


def _probes(result: PretrainedBackbone) -> Iterator[str]:
    probes = result.probes
    yield "## Probes"
    yield f"Perplexity of {probes.tokens:,} tokens of held-out passages: {probes.perplexity:.2f}."
    yield ""
    yield "| ability | right, % | most frequent answer, % | questions |"
    yield "|---|---|---|---|"
    for probe in probes.abilities:
        yield f"| {probe.ability} | {100 * probe.accuracy:.1f} | {100 * probe.chance:.1f} | {probe.questions:,} |"
