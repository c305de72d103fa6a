"""The sections of a training checkpoint: those that are weights, and those that stand beside them.

Trainers store more than a model: an optimiser, a schedule, counters. DDP scripts write
`{"model": .., "optimizer": ..}`, Lightning `{"state_dict": .., "optimizer_states": ..}`, DeepSpeed `{"module": ..}`.
An optimiser's moments are tensors too, and must never be taken for weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from cobra_kit.errors import WeightsError

WEIGHTS = ("model", "state_dict", "model_state_dict", "module")
"""Sections that hold the weights where they stand beside others."""

_TRAINING = re.compile(r"optim|sched|scaler|rng_state|random_state|^(global_)?(step|epoch|iteration)s?$", re.IGNORECASE)
"""Names of sections that hold the state of a training, whatever is beside them."""


def split_sections(tree: Mapping[Any, Any], *, where: str) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Returns the weights of a checkpoint by dotted name, and how many tensors were left out of which section.

    Where a section of `WEIGHTS` is there, only that one holds weights; else all but the state of a training does.

    Args:
        tree: What the file holds: mappings with tensors of any shape.
        where: The file, for messages.

    Raises:
        WeightsError: Two sections claim to be the weights.
    """
    holding = [name for name in WEIGHTS if isinstance(tree.get(name), Mapping) and any(_flatten(tree[name]))]
    if len(holding) > 1:
        raise WeightsError(
            f"two sections of the checkpoint could be the weights: {' and '.join(map(repr, holding))}",
            where=where,
            hint="Save the one that is meant, alone, and read that file.",
        )
    if holding:
        taken = {key: value for key, value in tree.items() if key == holding[0]}
    else:
        taken = {key: value for key, value in tree.items() if not _is_training(key, value)}
    left_out = {str(key): sum(1 for _ in _all_tensors(tree[key])) for key in tree if key not in taken}
    return dict(_flatten(taken)), {key: count for key, count in left_out.items() if count}


def _is_training(key: Any, value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.ndim == 0 and _TRAINING.search(str(key)) is not None
    return isinstance(value, Mapping) and (_TRAINING.search(str(key)) is not None or _is_optimiser(value))


def _is_optimiser(value: Mapping[Any, Any]) -> bool:
    """Returns whether a mapping has the form of `torch.optim.Optimizer.state_dict()`."""
    return "param_groups" in value and "state" in value


def _flatten(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for key, value in tree.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{key}", value.detach()
        elif isinstance(value, Mapping) and not _is_optimiser(value):
            yield from _flatten(value, f"{prefix}{key}.")


def _all_tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _all_tensors(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _all_tensors(inner)
