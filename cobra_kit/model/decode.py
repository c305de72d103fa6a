"""Batched greedy decoding and first-token probabilities, for any backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cobra_kit.errors import TextError

if TYPE_CHECKING:
    from cobra_kit.interfaces import DecodeState
    from cobra_kit.model.batch import Batch
    from cobra_kit.model.vision_language_model import VisionLanguageModel


@torch.no_grad()
def greedy_decode(
    model: VisionLanguageModel, batch: Batch, *, max_new_tokens: int, stop_ids: Sequence[int]
) -> list[list[int]]:
    """Returns per row the ids of the answer, up to and without the first stop token.

    Args:
        model: The composed model.
        batch: Prompts, collated for generation, on the model's device.
        max_new_tokens: Most tokens per answer.
        stop_ids: Ids that end an answer.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, not {max_new_tokens}")
    hidden, state = prefill(model, batch, max_new_tokens)
    stops = torch.tensor(list(stop_ids), device=hidden.device)
    finished = torch.zeros(batch.num_rows, dtype=torch.bool, device=hidden.device)
    produced: list[Tensor] = []
    ended: list[Tensor] = []
    for step in range(max_new_tokens):
        token = next_token_logits(model, hidden).argmax(-1)
        finished = finished | torch.isin(token, stops)
        produced.append(token)
        ended.append(finished)
        if step + 1 == max_new_tokens or bool(finished.all()):
            break
        hidden = model.backbone.step(model.backbone.embed(token), state)
    tokens = torch.stack(produced, 1).tolist()
    kept = (~torch.stack(ended, 1)).sum(1).tolist()
    return [row[:count] for row, count in zip(tokens, kept, strict=True)]


@torch.no_grad()
def first_token_probabilities(model: VisionLanguageModel, batch: Batch, answers: Sequence[str]) -> Tensor:
    """Returns `[b answers]`: the probability, over the whole vocabulary, that each answer's token comes first.

    Raises:
        TextError: An answer is not a single token of this tokenizer.
    """
    tokenizer = model.processor.codec.tokenizer
    ids = [tokenizer.encode(answer) for answer in answers]
    for answer, encoded in zip(answers, ids, strict=True):
        if len(encoded) != 1:
            raise TextError(
                f"answer {answer!r} is {len(encoded)} tokens, so it has no first-token probability",
                hint="Compare answers that are one token each, such as 'Yes' and 'No'.",
            )
    hidden, _ = prefill(model, batch, 0)
    probabilities = next_token_logits(model, hidden).softmax(-1)
    return probabilities[:, [encoded[0] for encoded in ids]]


def prefill(model: VisionLanguageModel, batch: Batch, room: int) -> tuple[Tensor, DecodeState]:
    """Returns the hidden state of each prompt's last token `[b d]`, and the decode state behind it.

    Args:
        model: The composed model.
        batch: Prompts on the model's device.
        room: Tokens that will be generated after the prompt.
    """
    lengths = batch.layout.lengths
    sequence = model.fuse(batch)
    state = model.backbone.new_state(
        batch.num_rows,
        batch.layout.max_length + room,
        device=sequence.embeddings.device,
        dtype=sequence.embeddings.dtype,
    )
    hidden = model.backbone(sequence, state)
    last = torch.tensor(lengths, device=hidden.device) - 1
    return hidden[torch.arange(batch.num_rows, device=hidden.device), last], state


def next_token_logits(model: VisionLanguageModel, hidden: Tensor) -> Tensor:
    """Returns float32 logits `[b vocab_size]` of `[b d]`; ids that only pad the embedding can never win."""
    logits: Tensor = model.backbone.logits(hidden).float()
    logits[:, model.processor.codec.tokenizer.vocab_size :] = -torch.inf
    return logits
