"""From a batch of prompts to the state behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cobra_kit.interfaces import DecodeState
from cobra_kit.model import calls
from cobra_kit.model.decoding.precision import AS_KEPT, Precision

if TYPE_CHECKING:
    from cobra_kit.model.batch import Batch
    from cobra_kit.model.vision_language_model import VisionLanguageModel


def new_state(model: VisionLanguageModel, rows: int, max_length: int) -> DecodeState:
    """Returns an empty state for `rows` rows of at most `max_length` tokens, on the model's device."""
    embedded = calls.embed(model, torch.zeros(1, dtype=torch.int64, device=model.device))
    return calls.new_state(model, rows, max_length, device=embedded.device, dtype=embedded.dtype)


def read_prompts(
    model: VisionLanguageModel, batch: Batch, state: DecodeState, precision: Precision = AS_KEPT
) -> Tensor:
    """Reads every prompt into an empty state, in place, and returns the hidden states of the last tokens `[b d]`.

    Args:
        model: The composed model.
        batch: Prompts, collated for generation, on the model's device.
        state: Empty, with room for the longest prompt.
        precision: Where it rounds the state, prompts are read token by token, since rounding comes after every one.
    """
    lengths = torch.tensor(batch.layout.lengths)
    sequence = model.fuse(batch)
    device = sequence.embeddings.device
    state.used = 0
    if precision.state is not None:
        return _read_by_token(model, sequence.embeddings, batch.layout.lengths, state, precision)
    hidden = calls.hidden_states(model, sequence, state)
    return hidden[torch.arange(batch.num_rows, device=device), (lengths - 1).to(device)]


def _read_by_token(
    model: VisionLanguageModel, embeddings: Tensor, lengths: tuple[int, ...], state: DecodeState, precision: Precision
) -> Tensor:
    """Steps through the prompts so that all of them end together.

    A shorter row begins later; what it is fed before that is forgotten when it begins.
    """
    longest = max(lengths)
    late = torch.tensor([longest - length for length in lengths], device=embeddings.device)
    everyone = torch.arange(len(lengths), device=embeddings.device)
    hidden = embeddings[:, 0]
    for step in range(longest):
        begins = [row for row, length in enumerate(lengths) if step and longest - length == step]
        if begins:
            state.reset(torch.tensor(begins, device=embeddings.device))
        state.used = step
        hidden = calls.step(model, embeddings[everyone, (step - late).clamp_min(0)], state)
        precision.round_state(state)
    return hidden


def next_token_logits(model: VisionLanguageModel, hidden: Tensor) -> Tensor:
    """Returns float32 logits `[b v]` of `[b d]`, of the tokenizer's ids: others, which only pad, cannot be chosen."""
    return calls.logits(model, hidden)[:, : model.processor.codec.tokenizer.vocab_size].float()
