"""The memory one model needs to answer prompts of a size, counted on the meta device before any weight is made."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cobra_kit.errors import CobraError
from cobra_kit.estimate.batches import image_group, shape_batch
from cobra_kit.estimate.counting import count_model
from cobra_kit.model import VisionLanguageModel, calls
from cobra_kit.model.placement import module_bytes, part_dtypes, place
from cobra_kit.recipe import ResolvedRecipe


@dataclass(frozen=True, slots=True)
class InferenceNeed:
    """Bytes that one model takes while it answers.

    Args:
        weights: Bytes of the weights, in the types that it runs in.
        filling: What stands beside them for a moment while the largest part is filled in float32.
        state: The decode state of all rows.
        passing: The most that a prefill holds at a time beside weights and state; None where it could not be counted.
    """

    weights: int
    filling: int
    state: int
    passing: int | None

    @property
    def answering(self) -> int:
        """Returns what comes beside the weights while it answers; without the prefill's part where that is unknown."""
        return self.state + (self.passing or 0)


def together(needs: Iterable[InferenceNeed]) -> int:
    """Returns the most bytes held at a time by models that stand side by side, filled and run one after another."""
    listed = list(needs)
    states = sum(need.state for need in listed)
    passing = max((need.answering - need.state for need in listed), default=0)
    return sum(need.weights for need in listed) + max(states + passing, *(need.filling for need in listed), 0)


def inference_need(
    resolved: ResolvedRecipe,
    *,
    device: torch.device,
    dtype: torch.dtype,
    rows: int,
    text_tokens: int,
    new_tokens: int,
    extra_tokens: int = 0,
) -> InferenceNeed:
    """Returns what a model takes for a batch of prompts with one image each.

    Args:
        resolved: What the model is composed from.
        device: The device that it would run on.
        dtype: Floating-point type of its weights.
        rows: Rows that are answered together.
        text_tokens: Text tokens of each prompt.
        new_tokens: Tokens of each answer.
        extra_tokens: Visual tokens of each row beside the image's own.

    Raises:
        PluginError: A component cannot be loaded or is not finished.
        ShapeError: Two parts do not fit.
    """
    model, _ = count_model(resolved)
    dtypes = part_dtypes(resolved.recipe, device, dtype)
    full = [module_bytes(part) for part in model.parts().values()]
    for kind, part in model.parts().items():
        place(part, torch.device("meta"), dtypes[kind])
    settled = [module_bytes(part) for part in model.parts().values()]
    filling = max(0, *(own - kept for own, kept in zip(full, settled, strict=True)))
    model.eval().requires_grad_(False)
    room = model.image_tokens().num_tokens + extra_tokens + text_tokens + new_tokens
    state = calls.new_state(model, rows, room, device=torch.device("meta"), dtype=dtype)
    return InferenceNeed(
        sum(settled), filling, state.nbytes, _passing(model, resolved, rows, text_tokens + extra_tokens)
    )


def _passing(model: VisionLanguageModel, resolved: ResolvedRecipe, rows: int, text_tokens: int) -> int | None:
    try:
        group = image_group(resolved, rows)
        batch = shape_batch(model, resolved, rows=rows, text_tokens=text_tokens, supervised=0, images=1, group=group)
        live = _Live()
        with torch.no_grad(), live:
            calls.hidden_states(model, model.fuse(batch))
    except (CobraError, RuntimeError, NotImplementedError, TypeError, ValueError, AssertionError):
        return None  # a part that does not run on the meta device
    return live.most


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Sums the storages that operations within it make, as long as some tensor uses them.

    Attributes:
        most: The largest sum, bytes.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most, self._now = 0, 0
        self._users: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = {_key(leaf) for leaf in tree_leaves((args, dict(kwargs or {}))) if isinstance(leaf, Tensor)}
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and (_key(leaf) in self._users or _key(leaf) not in given):
                self._use(leaf)
        return out

    def _use(self, tensor: Tensor) -> None:
        key, size = _key(tensor), tensor.untyped_storage().nbytes()
        if self._users.get(key, 0) == 0:
            self._now += size
            self.most = max(self.most, self._now)
        self._users[key] = self._users.get(key, 0) + 1
        weakref.finalize(tensor, self._leave, key, size)

    def _leave(self, key: int, size: int) -> None:
        self._users[key] -= 1
        if self._users[key] == 0:
            self._now -= size
            del self._users[key]


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
