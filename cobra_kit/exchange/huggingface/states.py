"""State dicts of the wrapper: in its own names (`model.backbone..`) or the files' (`backbone..`), whole or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cobra_kit.errors import WeightsError
from cobra_kit.model import VisionLanguageModel
from cobra_kit.weights.wrappers import plain_name

PREFIX = "model."
_SHOWN = 3


def whole_state(model: VisionLanguageModel, given: Mapping[str, Any], function: str) -> dict[str, Tensor]:
    """Returns a state dict under the names of the composed model, each tensor in the same shape as there.

    Of tied tensors one name is enough, as safetensors files have it.

    Args:
        model: The composed model.
        given: Names in the wrapper's form or the composed model's, with or without what a wrapper put around them.
        function: Who asks, for the message.

    Raises:
        WeightsError: Names are missing or unknown, or a tensor is of another shape.
    """
    wanted = {name: value for name, value in model.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}
    tensors = {plain_name(name): value for name, value in given.items() if isinstance(value, Tensor)}
    for prefix in ("module.", PREFIX):
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    by_identity: dict[int, Tensor] = {}
    differing = []
    for name, value in tensors.items():
        first = by_identity.setdefault(id(wanted[name]), value) if name in wanted else value
        if first is not value and first.shape == value.shape and not torch.equal(first.cpu(), value.cpu()):
            differing.append(name)
    whole = {name: tensors.get(name, by_identity.get(id(value))) for name, value in wanted.items()}
    problems = [
        *_listed("tied in the model and different here", differing),
        *_listed("missing", [name for name, value in whole.items() if value is None]),
        *_listed("unknown", [name for name in tensors if name not in wanted]),
        *_listed(
            "of another shape",
            [name for name, value in whole.items() if value is not None and value.shape != wanted[name].shape],
        ),
    ]
    if problems:
        raise WeightsError(
            f"{function}: the state does not fit the model, one to one",
            hint="\n".join([*problems, "For one part alone: model.model.projector.load_state_dict(..)"]),
        )
    return {name: value for name, value in whole.items() if value is not None}


def _listed(what: str, names: list[str]) -> list[str]:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}"] if names else []
