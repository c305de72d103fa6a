"""A checkpoint's names without what a trainer put around them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from cobra_kit.errors import WeightsError
from cobra_kit.exchange.layouts import AUTHORS_PARTS, CheckpointLayout
from cobra_kit.weights.wrappers import plain_name

_PARTS = ("", *AUTHORS_PARTS, "model.", *(f"model.{part}" for part in AUTHORS_PARTS))
"""What a part's wrapper may stand behind."""


def unwrapped(tensors: Mapping[str, Tensor], layout: CheckpointLayout) -> dict[str, Tensor] | None:
    """Returns a file's tensors, of any shape, without what a trainer put around names; None: the layout knows none.

    That is what stands before every name (`module.` of DistributedDataParallel or DeepSpeed, `state_dict.` and the
    attribute's name of Lightning), `module.` before every name of one part, and what `plain_name` leaves out.

    Raises:
        WeightsError: Two different tensors have the same name without it.
    """
    names = [plain_name(name) for name in tensors]
    while not any(name.startswith(layout.begins + layout.also_begins) for name in map(_inside, names)):
        first, dot, _ = names[0].partition(".") if names else ("", "", "")
        if not dot or not all(name.startswith(first + dot) for name in names):
            return None
        names = [name[len(first) + 1 :] for name in names]
    for part in _PARTS:
        inside = [name for name in names if name.startswith(part)]
        if inside and all(name.startswith(f"{part}module.") for name in inside):
            names = [part + name.removeprefix(f"{part}module.") if name.startswith(part) else name for name in names]
    return renamed_once(zip(tensors, names, tensors.values(), strict=True))


def renamed_once(tensors: Iterable[tuple[str, str, Tensor]]) -> dict[str, Tensor]:
    """Returns tensors of any shape under new names, from triples of old name, new name and tensor.

    Raises:
        WeightsError: Two different tensors would have one name.
    """
    origin: dict[str, str] = {}
    renamed: dict[str, Tensor] = {}
    for old, new, tensor in tensors:
        if new in renamed and not torch.equal(renamed[new], tensor):
            raise WeightsError(
                f"two different tensors of the checkpoint are {new}: {origin[new]} and {old}",
                hint="Save the one that is meant, alone, and import that file.",
            )
        origin[new], renamed[new] = old, tensor
    return renamed


def _inside(name: str) -> str:
    """Returns a name without a `module.` behind the name of a part."""
    return re.sub(r"^((?:model\.)?(?:projector|llm_backbone|vision_backbone)\.)module\.", r"\1", name)
