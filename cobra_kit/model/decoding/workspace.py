"""The workspace that decodes a batch: state, answers and recorded steps, kept per model so that they are recorded once.

A recorded step holds addresses: of the state and the answers, which live here, and of the weights. So a workspace
serves any batch of the same shape on the same weights, one at a time, and is dropped when the weights have moved.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

import torch

from cobra_kit.interfaces import DecodeState
from cobra_kit.model.decoding.answers import Answers
from cobra_kit.model.decoding.graphs import GraphBackend
from cobra_kit.model.decoding.precision import Precision
from cobra_kit.model.decoding.prompts import new_state
from cobra_kit.model.decoding.sampling import Sampling

if TYPE_CHECKING:
    from cobra_kit.model.multimodal_module import MultimodalModule

KEPT = 4
"""Workspaces kept per model: a benchmark's full batches, its last one, and those of another kind of question."""

ROUND_TO = 256
"""Tokens. Recorded steps serve states of the next multiple of this length, and attend to the next multiple."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes two batches must share to be decoded by the same recorded steps; the seed need not be the same."""

    rows: int
    max_length: int
    max_new_tokens: int
    stop_ids: tuple[int, ...]
    sampling: Sampling
    precision: Precision


@dataclass(slots=True, eq=False)
class Workspace:
    """Buffers of one batch, and the steps recorded on them by the number of tokens that they attend to."""

    shape: Shape
    state: DecodeState
    answers: Answers
    weights: tuple[tuple[int, torch.dtype], ...] = ()
    recorded: dict[int, Callable[[], None]] = field(default_factory=dict)
    recorder: GraphBackend | None = None
    owner: Callable[[], object] = field(default=lambda: None)

    def begin(self, seed: int, rows: Sequence[int]) -> None:
        """Empties everything in place, for rows of these numbers."""
        self.state.reset()
        self.answers.begin(seed, rows)


_lock = threading.Lock()
_kept: WeakKeyDictionary[MultimodalModule, list[Workspace]] = WeakKeyDictionary()


def new_workspace(model: MultimodalModule, shape: Shape, dtype: torch.dtype | None = None) -> Workspace:
    """Returns a workspace that nobody else has; `dtype` is that of the embeddings, asked of the backbone if None."""
    state = new_state(model, shape.rows, shape.max_length, dtype)
    answers = Answers(shape.rows, shape.max_new_tokens, shape.stop_ids, shape.sampling, state.lengths.device)
    return Workspace(shape, state, answers)


def borrow(model: MultimodalModule, shape: Shape, recorder: GraphBackend, owner: object) -> Workspace:
    """Returns a workspace with this shape, kept from before if there is one that nobody alive uses.

    Args:
        model: The model whose weights the recorded steps read.
        shape: The sizes that the batch needs.
        recorder: What records, or has recorded, its steps.
        owner: The object that uses it; it is free again when this object is gone.
    """
    weights = _addresses(model)
    with _lock:
        mine = [space for space in _kept.get(model, []) if space.weights == weights]
        space = next((s for s in mine if _fits(s, shape, recorder) and s.owner() is None), None)
        if space is None:
            try:
                space = new_workspace(model, shape)
            except torch.OutOfMemoryError:
                _kept.pop(model, None)  # what is kept for later must not stand in the way of now
                mine.clear()
                space = new_workspace(model, shape)
            space.weights, space.recorder = weights, recorder
        else:
            mine.remove(space)
        space.owner = ref(owner)
        # The newest last, so that the one used longest ago goes; those recorded for other weights go at once.
        _kept[model] = [*mine, space][-KEPT:]
    return space


def release(model: MultimodalModule) -> None:
    """Drops what is kept for a model's next batches: states, answers and recorded steps, and so their memory."""
    with _lock:
        _kept.pop(model, None)


def forget(model: MultimodalModule, workspace: Workspace) -> None:
    """Drops a workspace whose steps could not be recorded."""
    with _lock:
        _kept[model] = [space for space in _kept.get(model, []) if space is not workspace]


def _fits(space: Workspace, shape: Shape, recorder: GraphBackend) -> bool:
    return space.shape == shape and type(space.recorder) is type(recorder)


def _addresses(model: MultimodalModule) -> tuple[tuple[int, torch.dtype], ...]:
    """Returns where the backbone's tensors are: recorded steps read them there."""
    return tuple((t.data_ptr(), t.dtype) for t in (*model.backbone.parameters(), *model.backbone.buffers()))


def rounded_up(tokens: int) -> int:
    """Returns the next multiple of `ROUND_TO`."""
    return -(-tokens // ROUND_TO) * ROUND_TO
