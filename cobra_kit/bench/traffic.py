"""The bytes that one decoding step must move, whoever computes it and however well."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cobra_kit.interfaces import Backbone
from cobra_kit.model.reads import storage_of, storages_read


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of one step, all rows together.

    Args:
        weights: The backbone's, each read once; of a table that only looks ids up, nothing.
        state: Read and written: the part whose size does not depend on the context.
        cache: Read: what grows with the context; and written, the new token's part.
    """

    weights: int
    state: int
    cache: int

    @property
    def total(self) -> int:
        """Returns the sum."""
        return self.weights + self.state + self.cache


def traffic(backbone: Backbone, *, rows: int, context: int, dtype: torch.dtype) -> Traffic:
    """Returns what a step must move at a context.

    Args:
        backbone: Its weights are read, and its states asked for on the meta device.
        rows: Rows of the batch.
        context: Tokens that stand before the new one, per row.
        dtype: Floating-point type of the embeddings.
    """
    short, long = (_state_bytes(backbone, rows, length, dtype) for length in (1, 2))
    growth = long - short
    constant = short - growth
    return Traffic(_weight_bytes(backbone), 2 * constant, growth * (context + 1))


def _state_bytes(backbone: Backbone, rows: int, length: int, dtype: torch.dtype) -> int:
    state = backbone.new_state(rows, length, device=torch.device("meta"), dtype=dtype)
    return sum(tensor.numel() * tensor.element_size() for tensor in state.tensors.values())


def _weight_bytes(backbone: Backbone) -> int:
    """Returns the bytes of the backbone's weights without a table that only `embed` reads, a row per token of it."""
    ids = torch.zeros(1, dtype=torch.int64, device=next(backbone.parameters()).device)
    embedded: list[Tensor] = []
    looked_up = storages_read(lambda: embedded.append(backbone.embed(ids)))
    tables = looked_up - storages_read(lambda: backbone.logits(embedded[0]))
    return sum(p.numel() * p.element_size() for p in backbone.parameters() if storage_of(p) not in tables)
