"""One batch of prompts on its way to answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch

from cobra_kit.interfaces import DecodeState
from cobra_kit.model.decoding.answers import Answers
from cobra_kit.model.decoding.precision import AS_KEPT, Precision
from cobra_kit.model.decoding.prompts import new_state, next_token_logits, read_prompts
from cobra_kit.model.decoding.sampling import GREEDY, Sampling

if TYPE_CHECKING:
    from cobra_kit.model.batch import Batch
    from cobra_kit.model.vision_language_model import VisionLanguageModel

GraphUse = Literal["auto", "never", "always"]
"""Whether steps run as a captured CUDA graph: where that works, never, or else an error."""


class DecodeSession:
    """Answers to one batch of prompts; every step works in place and none waits for the device.

        session = DecodeSession(model, batch, max_new_tokens=64, stop_ids=[eos])
        session.prefill()
        while not session.finished():
            session.advance(8)
        answers = session.tokens()

    Args:
        model: The composed model, in eval mode.
        batch: Prompts, collated for generation, on the model's device.
        max_new_tokens: Most tokens per answer.
        stop_ids: Ids that end an answer.
        sampling: How tokens are chosen.
        graphs: Whether steps run as a captured CUDA graph.
        precision: What is rounded between two tokens.
        rows: A number for each row that its draws depend on; None: 0, 1, ..
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        batch: Batch,
        *,
        max_new_tokens: int,
        stop_ids: Sequence[int] = (),
        sampling: Sampling = GREEDY,
        graphs: GraphUse = "auto",
        precision: Precision = AS_KEPT,
        rows: Sequence[int] | None = None,
    ) -> None:
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, not {max_new_tokens}")
        self._model = model
        self._batch = batch
        self._max_new_tokens = max_new_tokens
        self._stop_ids = tuple(stop_ids)
        self._sampling = sampling
        self._precision = precision
        self._rows = tuple(range(batch.num_rows)) if rows is None else tuple(rows)
        self._done = 0
        self._state: DecodeState | None = None
        self._answers = Answers(batch.num_rows, max_new_tokens, self._stop_ids, sampling, model.device)
        self.uses_graph = False
        self.graph_reason = "steps run one operation at a time"

    @torch.no_grad()
    def prefill(self) -> None:
        """Encodes the images, reads the prompts and chooses the first token of every row."""
        model, batch = self._model, self._batch
        self._answers.begin(self._sampling.seed, self._rows)
        self._state = new_state(model, batch.num_rows, batch.layout.max_length + self._max_new_tokens)
        hidden = read_prompts(model, batch, self._state, self._precision)
        self._answers.take(next_token_logits(model, hidden))
        self._done = 1

    @torch.no_grad()
    def advance(self, tokens: int = 1) -> None:
        """Chooses `tokens` more tokens of every row, at most as many as are left to `max_new_tokens`."""
        state = self._require_state()
        for _ in range(min(tokens, self._max_new_tokens - self._done)):
            hidden = self._model.backbone.step(self._model.backbone.embed(self._answers.token), state)
            self._precision.round_state(state)
            self._answers.take(next_token_logits(self._model, hidden))
            self._done += 1

    def finished(self) -> bool:
        """Returns whether every row has ended or is full; waits for the device."""
        return self._done >= self._max_new_tokens or bool(self._answers.finished.all())

    def tokens(self) -> list[list[int]]:
        """Returns the tokens of each row so far, up to and without its stop token; waits for the device.

        Raises:
            CobraError: The logits of a row were not numbers.
        """
        return self._answers.read()

    def _require_state(self) -> DecodeState:
        if self._state is None:
            raise RuntimeError("prefill() comes before advance()")
        return self._state
