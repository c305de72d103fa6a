"""The precision in which a state is kept between two tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cobra_kit.interfaces import DecodeState


@dataclass(frozen=True, slots=True)
class Precision:
    """The rounding while decoding, beside what the model's own dtype rounds.

    Args:
        state: The floating-point type that the state is rounded to after every token, prompt tokens too; None: the
            state stays as the backbone keeps it. It is stored as before, so this costs time and saves no memory: it
            shows what a state of that type would do to the answers.
    """

    state: torch.dtype | None = None

    def round_state(self, state: DecodeState) -> None:
        """Rounds the state in place."""
        if self.state is None:
            return
        for tensor in state.tensors.values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.to(self.state))


AS_KEPT = Precision()
"""Nothing is rounded beside what the backbone rounds itself."""
