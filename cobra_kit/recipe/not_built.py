"""Systems the paper compares with that no packaged recipe builds, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """A recipe that one may look for in vain.

    Args:
        name: What it would be called.
        title: Its title, if there were such a recipe.
        reason: Why it is not there.
        instead: The nearest recipe that is.
    """

    name: str
    title: str
    reason: str
    instead: str


NOT_BUILT = (
    NotBuilt(
        name="baselines/moe_llava",
        title="MoE-LLaVA (Phi-2-2.7B x 4, top 2)",
        reason="every second MLP of Phi-2 becomes four experts with a router, trained with a balance loss in a third "
        "stage; no component here has experts, and no stage such a loss",
        instead="baselines/llava_phi",
    ),
)
"""By arXiv 2401.15947 (MoE-LLaVA), section 3, and PAPER.md's tables 2 and 3."""
