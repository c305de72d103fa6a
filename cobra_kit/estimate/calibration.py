"""The share of its peak that an accelerator really gives: from the one run with published hours, the paper's own.

The facts are those of the paper (arXiv 2403.14520 v4, 3.3 and 7.1, Table 1) and of its code (h-zhao1997/cobra,
commit 4b81082). Its FLOPs are counted by hand here, from the sizes of its parts; `tests/unit/estimate` holds them
against what `counting` finds on the meta device. Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass

TEXT_TOKENS = 250
"""Text tokens per row of the paper's data. Not published: an assumption, named with every estimate that rests on it."""

TEXT_TOKENS_RANGE = (120, 350)
"""What the text may well be instead; `implied_utilisation` at both ends shows how much hangs on it."""


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """One training run with its hours.

    Args:
        rows: Training rows (the code's merged file is named for 1,231 thousand).
        epochs: Passes over them.
        hours: Hours of wall clock.
        devices: How many accelerators were used.
        peak_flops: Peak of one of them, dense bfloat16.
        image_tokens: Visual tokens per row.
    """

    rows: int = 1_231_000
    epochs: float = 2
    hours: float = 26.5
    devices: int = 8
    peak_flops: float = 312e12
    image_tokens: int = 729


PAPER_RUN = PublishedRun()
"""8 A100 of 80 GB, 26.5 hours (7.1)."""


@dataclass(frozen=True, slots=True)
class MambaSizes:
    """The sizes of a Mamba-1 language model that decide its FLOPs."""

    d_model: int = 2560
    n_layer: int = 64
    d_inner: int = 5120
    d_state: int = 16
    d_conv: int = 4
    dt_rank: int = 160
    vocab_size: int = 50280

    def forward_flops(self) -> int:
        """Returns the FLOPs of one token through all blocks, the head left out."""
        matrices = (
            self.d_model * 2 * self.d_inner
            + self.d_inner * (self.dt_rank + 2 * self.d_state)
            + self.dt_rank * self.d_inner
            + self.d_inner * self.d_model
        )
        convolution = 2 * self.d_conv * self.d_inner
        scan = 7 * self.d_inner * self.d_state
        return self.n_layer * (2 * matrices + convolution + scan)

    def backward_flops(self) -> int:
        """Returns the same for the backward pass: twice the products, the convolution twice, the scan's own."""
        scan = self.n_layer * self.d_inner * self.d_state
        return 2 * (self.forward_flops() - 7 * scan) + 20 * scan

    def head_flops(self) -> int:
        """Returns the FLOPs of the logits of one token, forward."""
        return 2 * self.d_model * self.vocab_size


def vit_flops(*, width: int, hidden: int, blocks: int, tokens: int, prefix: int, patch: int) -> int:
    """Returns the FLOPs of one image through the blocks of a vision Transformer that run.

    Args:
        width: Channels of a token.
        hidden: Hidden channels of a block's MLP.
        blocks: Blocks that run.
        tokens: Patches of the image.
        prefix: Further tokens in front of them.
        patch: Side of a patch in pixels.
    """
    length = tokens + prefix
    block = 2 * length * (4 * width * width + 2 * width * hidden) + 4 * length * length * width
    return blocks * block + 2 * tokens * 3 * patch * patch * width


def cobra_3b_flops(text_tokens: int, supervised: int, image_tokens: int = PAPER_RUN.image_tokens) -> int:
    """Returns the FLOPs of one fine-tuning row of Cobra-3B, forward and backward, its frozen encoders forward only.

    Args:
        text_tokens: Text tokens of the row.
        supervised: Tokens that carry loss; only their logits are counted.
        image_tokens: Visual tokens of the row.
    """
    encoder, projector, language = cobra_3b_forward(text_tokens, supervised, image_tokens)
    sizes = MambaSizes()
    length = image_tokens + text_tokens
    first = 2 * image_tokens * 2176 * 8704  # nothing flows back into frozen features
    return (
        encoder
        + 3 * projector
        - first
        + language
        + length * sizes.backward_flops()
        + 2 * supervised * (sizes.head_flops())
    )


def cobra_3b_forward(text_tokens: int, supervised: int, image_tokens: int) -> tuple[int, int, int]:
    """Returns the forward FLOPs of a row: both encoders, the projector, the language model."""
    dino = vit_flops(width=1024, hidden=4096, blocks=23, tokens=729, prefix=5, patch=14)
    siglip = vit_flops(width=1152, hidden=4304, blocks=26, tokens=729, prefix=0, patch=14)
    projector = 2 * image_tokens * (2176 * 8704 + 8704 * 2560 + 2560 * 2560)
    sizes = MambaSizes()
    language = (image_tokens + text_tokens) * sizes.forward_flops() + supervised * sizes.head_flops()
    return dino + siglip, projector, language


def implied_utilisation(text_tokens: int = TEXT_TOKENS, run: PublishedRun = PAPER_RUN) -> float:
    """Returns which share of the peak the paper's run used, if its rows had this many text tokens.

    What its activation checkpointing computed a second time does not count as work done, so the constant carries the
    cost of it, of reading data and of talking between devices. The paper's code makes the logits of every position.
    """
    per_row = cobra_3b_flops(text_tokens, run.image_tokens + text_tokens, run.image_tokens)
    return per_row * run.rows * run.epochs / (run.hours * 3600 * run.devices * run.peak_flops)


def explanation() -> str:
    """Returns the constant and what it rests on, as one sentence."""
    low, high = (implied_utilisation(tokens) for tokens in TEXT_TOKENS_RANGE)
    run = PAPER_RUN
    return (
        f"{implied_utilisation():.1%} of the peak is used, as in the paper's own run ({run.devices} x A100, "
        f"{run.epochs:g} epochs of {run.rows:,} rows in {run.hours} h) if a row there has {TEXT_TOKENS} text tokens; "
        f"{TEXT_TOKENS_RANGE[0]} to {TEXT_TOKENS_RANGE[1]} would give {low:.0%} to {high:.0%}"
    )
