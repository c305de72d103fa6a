"""The sizes of Mamba language models. Imports no torch.

Sizes: `config.json` of the repositories that each class names in `hub_id`; PAPER.md 1.5 for the ones Cobra uses.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from cobra_kit.config import ComponentConfig
from pydantic import Field


class MambaConfig(ComponentConfig):
    """Mamba-1 in the form of state-spaces' `MambaLMHeadModel`: tied head, RMSNorm, no bias in linear layers."""

    hub_id: ClassVar[str | None] = None
    """The Hugging Face repository of the published weights, or None."""

    d_model: int = Field(gt=0)
    """Width of embeddings and hidden states, in channels."""

    n_layer: int = Field(gt=0)
    """Number of blocks."""

    d_state: int = Field(default=16, gt=0)
    """State numbers per inner channel."""

    expand: int = Field(default=2, gt=0)
    """Inner channels per channel of `d_model`."""

    d_conv: int = Field(default=4, gt=0)
    """Taps of the causal convolution, in tokens, the current one included."""

    dt_rank: int | Literal["auto"] = "auto"
    """Rank of the time step's projection; `auto` is d_model / 16, rounded up."""

    vocab_size: int | None = Field(default=None, gt=0)
    """Number of token ids; None takes the tokenizer's."""

    pad_vocab_multiple: int = Field(default=8, gt=0)
    """The embedding has the next multiple of this many rows."""

    norm_eps: float = Field(default=1e-5, gt=0)
    """Added to the mean square in every RMSNorm."""

    residual_in_fp32: bool = True
    """Whether the residual stream stays in float32 under half-precision weights."""

    state_init: Literal["standard", "strong"] = "standard"
    """`standard` initialises as state-spaces does; `strong` starts with a louder and slower state: the rows of
    x_proj for B and C times 8, A = -(1..d_state)/16, time steps times 4. The architecture is the same."""

    tokenizer: Literal["small", "gpt-neox-20b"] = "gpt-neox-20b"
    """The tokenizer the weights go with."""

    template: Literal["base", "chat"] = "base"
    """The prompt template the weights go with."""

    max_text_tokens: int = Field(default=2048, gt=0)
    """Longer text is cut, in tokens; visual tokens come on top."""

    weights: str = "hub"
    """`none` (random), `hub` (published), or a path to a safetensors or .bin file or to a folder with one."""

    @property
    def d_inner(self) -> int:
        """Returns the number of inner channels."""
        return self.expand * self.d_model

    @property
    def resolved_dt_rank(self) -> int:
        """Returns the rank of the time step's projection as a number."""
        return -(-self.d_model // 16) if self.dt_rank == "auto" else self.dt_rank

    @classmethod
    def tiny(cls) -> Self:
        """Returns a config that builds in milliseconds on a CPU, without weights, for checks."""
        values: dict[str, Any] = {"d_model": 64, "n_layer": 2, "vocab_size": None, "tokenizer": "small"}
        return cls(**values, weights="none")


class MambaTinyConfig(MambaConfig):
    """The laptop's backbone: 233,344 parameters beside the embedding, the small tokenizer, random weights.

    Its `state_init` is `strong`, without which questions about one object of several are not learnt within
    minutes (LAPTOP.md, runs V0 and V5).
    """

    d_model: int = Field(default=128, gt=0)
    n_layer: int = Field(default=2, gt=0)
    state_init: Literal["standard", "strong"] = "strong"
    tokenizer: Literal["small", "gpt-neox-20b"] = "small"
    template: Literal["base", "chat"] = "chat"
    weights: str = "none"

    @classmethod
    def tiny(cls) -> Self:
        """Returns the defaults: they are tiny."""
        return cls()


class Mamba130mConfig(MambaConfig):
    """state-spaces/mamba-130m."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-130m"
    d_model: int = Field(default=768, gt=0)
    n_layer: int = Field(default=24, gt=0)
    vocab_size: int | None = Field(default=50277, gt=0)


class Mamba370mConfig(MambaConfig):
    """state-spaces/mamba-370m."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-370m"
    d_model: int = Field(default=1024, gt=0)
    n_layer: int = Field(default=48, gt=0)
    vocab_size: int | None = Field(default=50277, gt=0)


class Mamba790mConfig(MambaConfig):
    """state-spaces/mamba-790m."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-790m"
    d_model: int = Field(default=1536, gt=0)
    n_layer: int = Field(default=48, gt=0)
    vocab_size: int | None = Field(default=50277, gt=0)


class Mamba1p4bConfig(MambaConfig):
    """state-spaces/mamba-1.4b."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-1.4b"
    d_model: int = Field(default=2048, gt=0)
    n_layer: int = Field(default=48, gt=0)
    vocab_size: int | None = Field(default=50277, gt=0)


class Mamba2p8bConfig(MambaConfig):
    """state-spaces/mamba-2.8b."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-2.8b"
    d_model: int = Field(default=2560, gt=0)
    n_layer: int = Field(default=64, gt=0)
    vocab_size: int | None = Field(default=50277, gt=0)


class Mamba2p8bSlimpjConfig(Mamba2p8bConfig):
    """state-spaces/mamba-2.8b-slimpj."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-2.8b-slimpj"


class Mamba2p8bZephyrConfig(Mamba2p8bConfig):
    """xiuyul/mamba-2.8b-zephyr."""

    hub_id: ClassVar[str | None] = "xiuyul/mamba-2.8b-zephyr"
    template: Literal["base", "chat"] = "chat"


class Mamba7bConfig(MambaConfig):
    """TRI-ML/mamba-7b-rw."""

    hub_id: ClassVar[str | None] = "TRI-ML/mamba-7b-rw"
    d_model: int = Field(default=4096, gt=0)
    n_layer: int = Field(default=64, gt=0)
    vocab_size: int | None = Field(default=50432, gt=0)
