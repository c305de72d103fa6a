"""How likely given answers are to come first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cobra_kit.errors import TextError
from cobra_kit.model.decoding.attached import attached
from cobra_kit.model.decoding.precision import AS_KEPT, Precision
from cobra_kit.model.decoding.prompts import new_state, next_token_logits, read_prompts

if TYPE_CHECKING:
    from cobra_kit.model.batch import Batch
    from cobra_kit.model.vision_language_model import VisionLanguageModel


@torch.no_grad()
def first_token_probabilities(
    model: VisionLanguageModel, batch: Batch, answers: Sequence[str], *, precision: Precision = AS_KEPT
) -> Tensor:
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
    sequence = model.fuse(batch)
    state = new_state(model, batch.num_rows, batch.layout.max_length, sequence.embeddings.dtype)
    hidden = read_prompts(model, sequence, state, precision, by_call=attached(model) is not None)
    return next_token_logits(model, hidden).softmax(-1)[:, [encoded[0] for encoded in ids]]
