"""From a batch of prompts to the state behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cobra_kit.interfaces import DecodeState, FusedSequence
from cobra_kit.model import calls
from cobra_kit.model.decoding.precision import AS_KEPT, Precision

if TYPE_CHECKING:
    from cobra_kit.model.multimodal_module import MultimodalModule


def new_state(model: MultimodalModule, rows: int, max_length: int, dtype: torch.dtype | None = None) -> DecodeState:
    """Returns an empty state for `rows` rows of at most `max_length` tokens, on the model's device.

    Args:
        model: The composed model.
        rows: How many rows it has room for.
        max_length: Most tokens of a row.
        dtype: Type of the embeddings that will be read; None: asked of the backbone, which calls its embedding.
    """
    if dtype is None:
        dtype = calls.embed(model, torch.zeros(1, dtype=torch.int64, device=model.device)).dtype
    return calls.new_state(model, rows, max_length, device=model.device, dtype=dtype)


def read_prompts(
    model: MultimodalModule,
    sequence: FusedSequence,
    state: DecodeState,
    precision: Precision = AS_KEPT,
    *,
    by_call: bool = False,
) -> Tensor:
    """Reads every prompt into an empty state, in place, and returns the hidden states of the last tokens `[b d]`.

    Args:
        model: The composed model.
        sequence: Prompts, laid out for generation by `model.fuse`.
        state: Empty, with room for the longest prompt.
        precision: Where it rounds the state, prompts are read token by token, since rounding comes after every one.
        by_call: Whether each token goes through the module itself, so that hooks on it run; see `calls.step`.
    """
    lengths = torch.tensor(sequence.layout.lengths)
    device = sequence.embeddings.device
    state.used = 0
    if precision.state is not None:
        return _read_by_token(model, sequence, state, precision, by_call=by_call)
    hidden = model.read(sequence, state)
    return hidden[torch.arange(len(lengths), device=device), (lengths - 1).to(device)]


def _read_by_token(
    model: MultimodalModule, sequence: FusedSequence, state: DecodeState, precision: Precision, *, by_call: bool
) -> Tensor:
    """Steps through the prompts so that all of them end together.

    A shorter row begins later; what it is fed before that is forgotten when it begins.
    """
    embeddings, lengths = sequence.embeddings, sequence.layout.lengths
    longest = max(lengths)
    late = torch.tensor([longest - length for length in lengths], device=embeddings.device)
    everyone = torch.arange(len(lengths), device=embeddings.device)
    hidden = embeddings[:, 0]
    for step in range(longest):
        # At step 0 every state is empty already.
        begins = [row for row, length in enumerate(lengths) if step and longest - length == step]
        if begins:
            state.reset(torch.tensor(begins, device=embeddings.device))
        state.used = step
        # A row that has not begun is fed its first token meanwhile: a step takes all rows.
        hidden = calls.step(model, embeddings[everyone, (step - late).clamp_min(0)], state, by_call=by_call)
        precision.round_state(state)
    return hidden


def next_token_logits(model: MultimodalModule, hidden: Tensor) -> Tensor:
    """Returns float32 logits `[b v]` of `[b d]`, of the tokenizer's ids: others, which only pad, cannot be chosen."""
    return calls.logits(model, hidden)[:, : model.processor.codec.tokenizer.vocab_size].float()
