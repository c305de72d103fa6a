"""The answers of one batch while they grow: buffers of fixed addresses, so that a captured graph may write them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cobra_kit.errors import CobraError
from cobra_kit.model.decoding.sampling import Sampling, choose, row_streams, uniform_draws


class Answers:
    """The answers of `b` rows as far as they are, on the device.

    Args:
        rows: How many rows are answered, `b`.
        max_new_tokens: Most tokens per row.
        stop_ids: Ids that end an answer.
        sampling: How the next token is chosen from the logits.
        device: The device that holds the buffers.

    Attributes:
        token: `[b]` int64, the token each row takes next; a finished row keeps its stop token.
        finished: `[b]` bool, whether each row's answer has ended.
    """

    def __init__(
        self, rows: int, max_new_tokens: int, stop_ids: Sequence[int], sampling: Sampling, device: torch.device
    ) -> None:
        self._sampling = sampling
        self._stops = torch.tensor(list(stop_ids), dtype=torch.int64, device=device)
        self._written = torch.zeros(rows, max_new_tokens, dtype=torch.int64, device=device)
        self._counts = torch.zeros(rows, dtype=torch.int64, device=device)
        self._position = torch.zeros(1, dtype=torch.int64, device=device)
        self._streams = torch.zeros(rows, dtype=torch.int64, device=device)
        self._broken = torch.zeros(rows, dtype=torch.bool, device=device)
        self.token = torch.zeros(rows, dtype=torch.int64, device=device)
        self.finished = torch.zeros(rows, dtype=torch.bool, device=device)

    def begin(self, seed: int, rows: Sequence[int]) -> None:
        """Empties the buffers in place for answers that draw with `seed`, as the rows of these numbers."""
        for buffer in (self._written, self._counts, self._position, self._broken, self.token, self.finished):
            buffer.zero_()
        self._streams.copy_(row_streams(seed, rows, torch.device("cpu")))

    def take(self, logits: Tensor) -> None:
        """Chooses the next token of every unfinished row from float32 logits `[b v]`, in place, without a sync."""
        drawn = None if self._sampling.greedy else uniform_draws(self._streams, self._position)
        # Noted and not raised: raising would wait for the device. The maximum is enough, for NaN comes through it, and
        # it is infinite where no token can be chosen; a single -inf is a mask. Finished rows may read what they like.
        self._broken |= ~(torch.isfinite(logits.amax(-1)) | self.finished)
        token = torch.where(self.finished, self.token, choose(logits, self._sampling, drawn))
        self.token.copy_(token)
        # The position is a tensor, since a recorded graph repeats these calls without Python.
        self._written.index_copy_(1, self._position, token[:, None])
        self.finished |= (token[:, None] == self._stops).any(1)
        self._counts += ~self.finished
        self._position += 1

    def read(self, since: int = 0) -> list[list[int]]:
        """Returns the tokens of each row from number `since` on, up to and without its stop token.

        Only those are copied; waits for the device.

        Raises:
            CobraError: The logits of a row held NaN or were all infinite, so its tokens mean nothing.
        """
        counts, broken = self._counts.tolist(), self._broken.tolist()
        if any(broken):
            wrong = ", ".join(str(row) for row, is_wrong in enumerate(broken) if is_wrong)
            raise CobraError(
                f"the model's logits are not numbers in row {wrong} of {len(broken)}",
                hint="Its weights hold NaN or infinity, or its dtype is too narrow: try float32 or bfloat16.",
            )
        written = self._written[:, since : max(counts, default=0)].tolist()
        return [row[: max(0, count - since)] for row, count in zip(written, counts, strict=True)]
