"""The probabilities that given answers come first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cobra_kit.model.decoding.attached import attached
from cobra_kit.model.decoding.precision import AS_KEPT, Precision
from cobra_kit.model.decoding.prompts import new_state, next_token_logits, read_prompts
from cobra_kit.text.choices import first_answer_ids

if TYPE_CHECKING:
    from cobra_kit.model.batch import Batch
    from cobra_kit.model.multimodal_module import MultimodalModule


@torch.no_grad()
def first_token_probabilities(
    model: MultimodalModule,
    batch: Batch,
    answers: Sequence[str],
    *,
    precision: Precision = AS_KEPT,
    where: str | None = None,
) -> Tensor:
    """Returns `[b answers]`: the probability, over the whole vocabulary, that each answer's token comes first.

    An answer's token is the one that training supervises: with the blank, if the prompt template puts one before it.

    Args:
        model: The composed model, in eval mode.
        batch: Prompts, collated for generation, on the model's device.
        answers: Answers of one token each, no two of the same.
        precision: What is rounded while the prompts are read.
        where: Which benchmark or question this is, for errors.

    Raises:
        TextError: An answer is not one token, or two are the same.
    """
    ids = first_answer_ids(answers, model.processor.codec, where=where)
    sequence = model.fuse(batch)
    state = new_state(model, batch.num_rows, batch.layout.max_length, sequence.embeddings.dtype)
    hidden = read_prompts(model, sequence, state, precision, by_call=attached(model) is not None)
    return next_token_logits(model, hidden).softmax(-1)[:, ids]
