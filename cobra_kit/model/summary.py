"""A summary of a model: per part its component, whether it is trained, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from cobra_kit._plugins import call_component, place_of
from cobra_kit.errors import PluginError, kind_of

if TYPE_CHECKING:
    from torch import nn

    from cobra_kit.model.multimodal_module import MultimodalModule


@dataclass(frozen=True, slots=True)
class PartSummary:
    """One part: its kind, its component, and parameters in total and trainable (tied ones counted once).

    `unused` are those of the total that never run, by what they belong to.
    """

    kind: str
    component: str
    parameters: int
    trainable: int
    unused: Mapping[str, int] = field(default_factory=dict)


def summarise(model: MultimodalModule) -> tuple[PartSummary, ...]:
    """Returns one summary per part, in the order data flows."""
    return tuple(
        PartSummary(
            kind,
            model.components[kind],
            *count_parameters(module),
            call_component(model.component(kind), partial(_unused, module)),
        )
        for kind, module in model.parts().items()
    )


def count_parameters(module: nn.Module) -> tuple[int, int]:
    """Returns (all, trainable) parameters; a parameter shared by two names counts once."""
    parameters = list(module.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


def render_summary(parts: tuple[PartSummary, ...]) -> str:
    """Returns the printout: a line per part, `frozen` or `trainable`, and the totals.

    Where parameters never run, a further line per group of them gives the total without it (and those above it).
    """
    rows = [(part.kind.replace("_", " "), part.component, _state(part), f"{part.parameters:,}") for part in parts]
    total, trainable = sum(p.parameters for p in parts), sum(p.trainable for p in parts)
    rows.append(("total", "", f"{trainable:,} trainable", f"{total:,}"))
    for part in parts:
        for group, count in part.unused.items():
            total -= count
            rows.append(("without", f"{group.replace('_', ' ')} of {part.component}", "never run", f"{total:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]:>{widths[3]}}".rstrip()
        for row in rows
    )


def _unused(module: nn.Module) -> dict[str, int]:
    groups: object = getattr(module, "unused_parameters", dict)()
    if not isinstance(groups, Mapping):
        raise PluginError(
            f"{type(module).__qualname__}.unused_parameters returned {kind_of(groups)}, expected a mapping",
            where=place_of(type(module)),
        )
    return {group: count for group, count in sorted(groups.items(), reverse=True) if count}


def _state(part: PartSummary) -> str:
    if not part.parameters:
        return "no parameters"
    if not part.trainable:
        return "frozen"
    return "trainable" if part.trainable == part.parameters else "partly trainable"
