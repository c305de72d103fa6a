"""Settings of the Transformer backbones. Imports no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from cobra_kit.config import ComponentConfig
from cobra_kit.text.names import TemplateName

# The fields that a subclass overrides carry their description in the type, so that it is inherited with it.
Weights = Annotated[
    str,
    Field(
        description="`none` (random), `hub` (published), `packaged` (of `tiny-base` and `tiny-chat`), or the path of a "
        "safetensors or .bin file or of a folder with one."
    ),
]
Template = Annotated[TemplateName, Field(description="The prompt template.")]


class TransformerTinyConfig(ComponentConfig):
    """GPT-NeoX at laptop size; every setting but the sizes and the tied head is Pythia's."""

    packaged_file: ClassVar[str | None] = None
    """The file in the plugin's folder `weights` that `weights: packaged` stands for, or None."""

    hidden_size: PositiveInt = 128
    """Width of embeddings and hidden states, in channels; `mamba/tiny` has the same."""

    num_layers: Annotated[int, Field(gt=0, le=1_000)] = 2
    """Number of blocks; `mamba/tiny` has as many."""

    num_heads: PositiveInt = 4
    """Attention heads of a block; they divide `hidden_size`."""

    intermediate_size: PositiveInt = 192
    """Hidden width of a block's MLP; chosen so that the parameters beside the embedding match `mamba/tiny`'s."""

    rotary_pct: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Share of a head's channels that carry the rotary position."""

    norm_eps: PositiveFloat = 1e-5
    """Added to the variance in every LayerNorm."""

    initializer_range: PositiveFloat = 0.02
    """Standard deviation of random linear and embedding weights."""

    tie_embeddings: bool = True
    """Whether the head is the embedding's transpose, as in Mamba; Pythia has a head of its own."""

    vocab_size: PositiveInt | None = None
    """Number of token ids; None takes the tokenizer's."""

    pad_vocab_multiple: PositiveInt = 8
    """The embedding has the next multiple of this many rows."""

    attention: Literal["sdpa", "eager"] = "sdpa"
    """Attention of transformers: PyTorch's fused one, or plain matrix products."""

    template: Template = "chat"

    max_text_tokens: PositiveInt = 2048
    """Longer text is cut, in tokens; visual tokens come on top."""

    weights: Weights = "none"

    @model_validator(mode="after")
    def _heads_and_rotary_fit(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"num_heads {self.num_heads} do not divide hidden_size {self.hidden_size}")
        rotary = int(self.head_dim * self.rotary_pct)
        if rotary < 2 or rotary % 2:
            raise ValueError(
                f"rotary_pct {self.rotary_pct} of a head of {self.head_dim} channels gives {rotary} channels; "
                "it must be an even number of at least 2"
            )
        return self

    @property
    def head_dim(self) -> int:
        """Returns the channels of a head."""
        return self.hidden_size // self.num_heads


class TransformerTinyPretrainedConfig(TransformerTinyConfig):
    """The base of `transformer/tiny` with weights that come with the plugin."""

    weights: Weights = "packaged"

    @classmethod
    def tiny(cls) -> Self:
        """Returns the defaults without their weights."""
        return cls(weights="none")


class TransformerTinyBaseConfig(TransformerTinyPretrainedConfig):
    """`transformer/tiny` that has read passages about scenes: the match of `mamba/tiny-base`."""

    packaged_file: ClassVar[str | None] = "tiny_base.safetensors"


class TransformerTinyChatConfig(TransformerTinyPretrainedConfig):
    """`transformer/tiny` that has read passages, then conversations: the match of `mamba/tiny-chat`."""

    packaged_file: ClassVar[str | None] = "tiny_chat.safetensors"
