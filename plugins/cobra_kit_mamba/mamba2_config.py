"""The sizes of Mamba-2 language models. Imports no torch.

Sizes: `config.json` of the repositories that the table below names (`{"d_model": .., "n_layer": ..,
"vocab_size": 50277, "ssm_cfg": {"layer": "Mamba2"}, "pad_vocab_size_multiple": 16, ..}`); what they leave open is
the default of `mamba_ssm/modules/mamba2.py`, state-spaces/mamba commit 03a38fb.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from cobra_kit_mamba.config import (
    Depth,
    MambaFamilyConfig,
    TemplateName,
    TokenizerName,
    VocabSize,
    Weights,
    Width,
    published,
)


class MambaTwoConfig(MambaFamilyConfig):
    """Mamba-2, as state-spaces' `MambaLMHeadModel` has it with the layer `Mamba2`."""

    d_state: int = Field(default=128, gt=0)
    """State numbers per inner channel."""

    head_dim: int = Field(default=64, gt=0)
    """Inner channels per head; a head has one time step and one decay per token."""

    n_groups: int = Field(default=1, gt=0)
    """Groups of heads that share B and C, and of channels that the gated norm norms together."""

    vocab_size: VocabSize = 50277

    pad_vocab_multiple: int = Field(default=16, gt=0)
    """The embedding has the next multiple of this many rows."""

    @property
    def n_heads(self) -> int:
        """Returns the number of heads."""
        return self.d_inner // self.head_dim

    @property
    def d_conv_channels(self) -> int:
        """Returns the number of channels that pass the convolution: the inner ones, B and C."""
        return self.d_inner + 2 * self.n_groups * self.d_state

    @classmethod
    def tiny(cls) -> Self:
        """Returns a config that builds in milliseconds on a CPU, without weights, for checks."""
        return cls(d_model=64, n_layer=2, d_state=16, head_dim=32, vocab_size=None, tokenizer="small", weights="none")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.d_inner % self.head_dim:
            raise ValueError(f"head_dim {self.head_dim} does not divide expand x d_model = {self.d_inner}")
        if self.n_heads % self.n_groups:
            raise ValueError(f"n_groups {self.n_groups} does not divide the {self.n_heads} heads")
        return self


class MambaTwoTinyConfig(MambaTwoConfig):
    """The laptop's Mamba-2, of about the size of `mamba/tiny`; the small tokenizer, random weights."""

    d_model: Width = 128
    n_layer: Depth = 2

    d_state: int = Field(default=32, gt=0)
    """State numbers per inner channel."""

    head_dim: int = Field(default=32, gt=0)
    """Inner channels per head; a head has one time step and one decay per token."""

    vocab_size: VocabSize = None
    tokenizer: TokenizerName = "small"
    template: TemplateName = "chat"
    weights: Weights = "none"

    @classmethod
    def tiny(cls) -> Self:
        """Returns the defaults: they are tiny."""
        return cls()


def _mamba2(name: str, repository: str, d_model: int, n_layer: int) -> type[Any]:
    return published(MambaTwoConfig, name, repository, d_model=d_model, n_layer=n_layer)


MambaTwo130mConfig = _mamba2("MambaTwo130mConfig", "state-spaces/mamba2-130m", 768, 24)
MambaTwo370mConfig = _mamba2("MambaTwo370mConfig", "state-spaces/mamba2-370m", 1024, 48)
MambaTwo780mConfig = _mamba2("MambaTwo780mConfig", "state-spaces/mamba2-780m", 1536, 48)
MambaTwo1300mConfig = _mamba2("MambaTwo1300mConfig", "state-spaces/mamba2-1.3b", 2048, 48)
MambaTwo2700mConfig = _mamba2("MambaTwo2700mConfig", "state-spaces/mamba2-2.7b", 2560, 64)
