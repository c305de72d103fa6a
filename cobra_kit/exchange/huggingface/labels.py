"""Labels and ids that come beside a batch: compared with it, and labels turned into what the loss is made of."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import IGNORE_INDEX
from cobra_kit.model import Batch
from cobra_kit.model.batch import supervised_targets, weigh_targets

_HINT = "The batch is what the model runs on; make it anew with the processor instead of changing a tensor beside it."


def check_ids(batch: Batch, input_ids: Tensor | None, attention_mask: Tensor | None) -> None:
    """Checks that `input_ids` and `attention_mask` `[b t]` are those of the batch: the model runs on the batch.

    Raises:
        ShapeError: One of them is not what the batch holds.
    """
    lengths = _is_text(batch).sum(1).to("cpu")
    for name, tensor in (("input_ids", input_ids), ("attention_mask", attention_mask)):
        if tensor is None:
            continue
        if tensor.dim() != 2 or tensor.shape[0] != batch.num_rows or tensor.shape[1] < int(lengths.max()):
            raise ShapeError(
                f"{name} is {list(tensor.shape)}, but the batch has {batch.num_rows} rows of at most "
                f"{int(lengths.max())} text tokens",
                hint=_HINT,
            )
        mask = torch.arange(tensor.shape[1]) < lengths[:, None]
        same = (
            torch.equal(tensor.to("cpu").bool(), mask)
            if name == "attention_mask"
            else torch.equal(tensor.to("cpu")[mask], batch.text_ids.to("cpu"))
        )
        if not same:
            raise ShapeError(f"{name} is not what the batch was made of", hint=_HINT)


def with_labels(batch: Batch, labels: Tensor) -> Batch:
    """Returns the batch with other labels.

    Args:
        batch: The batch that the labels are for.
        labels: `[b s]` as the layout, visual tokens included, or `[b t]` as `input_ids`; `IGNORE_INDEX` carries no
            loss, and the token before a label predicts it. The batch's own labels change nothing.

    Raises:
        ShapeError: They are of neither shape.
    """
    layout = batch.layout
    labels = labels.to(layout.source.device)
    if labels.shape == layout.source.shape:
        if layout.labels is not None and torch.equal(labels, layout.labels):
            return batch  # with its own weights
        placed = labels.masked_fill(layout.segment_ids == 0, IGNORE_INDEX)
    else:
        placed = _placed(batch, labels)
    # The first token of a segment has none before it that could predict it.
    first = torch.ones_like(placed, dtype=torch.bool)
    first[:, 1:] = layout.segment_ids[:, 1:] != layout.segment_ids[:, :-1]
    layout = replace(layout, labels=placed.masked_fill(first, IGNORE_INDEX))
    positions, targets = supervised_targets(layout)
    weights = weigh_targets(positions, "token")
    return replace(
        batch,
        layout=layout,
        target_positions=positions,
        targets=targets,
        target_weights=weights.to(positions.device),
        total_weight=float(weights.sum()),
    )


def _placed(batch: Batch, labels: Tensor) -> Tensor:
    """Returns labels `[b t]` of text tokens where the layout `[b s]` has these tokens."""
    text = _is_text(batch)
    lengths = text.sum(1)
    if labels.dim() != 2 or labels.shape[0] != batch.num_rows or labels.shape[1] < int(lengths.max()):
        raise ShapeError(
            f"labels are {list(labels.shape)}, but the batch is {list(batch.layout.source.shape)} with visual tokens "
            f"and {[batch.num_rows, int(lengths.max())]} without",
            hint="Give the batch's own (batch.layout.labels), or one label per token of input_ids.",
        )
    if batch.layout.packed:
        raise ShapeError("labels per token of input_ids do not go with packed rows", hint="Give batch.layout.labels.")
    mask = torch.arange(labels.shape[1], device=labels.device) < lengths[:, None]
    in_order = labels[mask]
    placed = torch.full_like(batch.layout.source, IGNORE_INDEX)
    placed[text] = in_order[batch.layout.source[text]]
    return placed


def _is_text(batch: Batch) -> Tensor:
    """Returns `[b s]`: where text tokens stand."""
    return (batch.layout.source < batch.text_ids.numel()) & (batch.layout.segment_ids != 0)
