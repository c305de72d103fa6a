"""The sizes of Mamba-2 language models: enough for a recipe to name one. Imports no torch.

Sizes: `config.json` of the repositories that each class names in `hub_id`.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field

from cobra_kit.config import ComponentConfig
from cobra_kit_mamba.config import Depth, TokenizerName, VocabSize, Weights, Width


class MambaTwoConfig(ComponentConfig):
    """Mamba-2; the mixer itself is not in this version, so more fields will come."""

    hub_id: ClassVar[str | None] = None
    """The Hugging Face repository of the published weights, or None."""

    d_model: Width
    n_layer: Depth

    d_state: int = Field(default=128, gt=0)
    """State numbers per inner channel."""

    vocab_size: VocabSize = 50277

    pad_vocab_multiple: int = Field(default=16, gt=0)
    """The embedding has the next multiple of this many rows."""

    tokenizer: TokenizerName = "gpt-neox-20b"
    weights: Weights = "hub"

    @classmethod
    def tiny(cls) -> Self:
        """Returns a small config without weights, for checks."""
        return cls(d_model=64, n_layer=2, d_state=16, vocab_size=None, tokenizer="small", weights="none")


class MambaTwo130mConfig(MambaTwoConfig):
    """state-spaces/mamba2-130m."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba2-130m"
    d_model: Width = 768
    n_layer: Depth = 24


class MambaTwo370mConfig(MambaTwoConfig):
    """state-spaces/mamba2-370m."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba2-370m"
    d_model: Width = 1024
    n_layer: Depth = 48


class MambaTwo780mConfig(MambaTwoConfig):
    """state-spaces/mamba2-780m."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba2-780m"
    d_model: Width = 1536
    n_layer: Depth = 48


class MambaTwo1300mConfig(MambaTwoConfig):
    """state-spaces/mamba2-1.3b."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba2-1.3b"
    d_model: Width = 2048
    n_layer: Depth = 48


class MambaTwo2700mConfig(MambaTwoConfig):
    """state-spaces/mamba2-2.7b."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba2-2.7b"
    d_model: Width = 2560
    n_layer: Depth = 64
