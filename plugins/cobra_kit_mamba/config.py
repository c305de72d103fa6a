"""The sizes of Mamba language models: what both generations share, and Mamba-1. Imports no torch.

Sizes: `config.json` of the repositories that each class names in `hub_id`; PAPER.md 1.5 for the ones Cobra uses.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from cobra_kit.config import ComponentConfig

# The fields that sizes override carry their description in the type, so that it is inherited with it.
Width = Annotated[int, Field(gt=0, description="Width of embeddings and hidden states, in channels.")]
Depth = Annotated[int, Field(gt=0, description="Number of blocks.")]
VocabSize = Annotated[int | None, Field(gt=0, description="Number of token ids; None takes the tokenizer's.")]
StateInit = Annotated[
    Literal["standard", "strong"],
    Field(
        description="`standard` initialises as state-spaces does; `strong` starts with a louder and slower state: "
        "the rows of x_proj for B and C times 8, A = -(1..d_state)/16, time steps times 4. Same architecture."
    ),
]
TokenizerName = Annotated[
    str,
    Field(
        min_length=1,
        description="`small` (packaged), `gpt-neox-20b` (looked for in the folder of the weights, then on the hub), or "
        "the path of a tokenizer.json or of a folder with one.",
    ),
]
TemplateName = Annotated[Literal["base", "chat"], Field(description="The prompt template that the weights go with.")]
Weights = Annotated[
    str,
    Field(
        description="`none` (random), `hub` (published), or the path of a safetensors or .bin file or of a folder "
        "with one, in the form of state-spaces or of transformers."
    ),
]


class MambaFamilyConfig(ComponentConfig):
    """What Mamba-1 and Mamba-2 share, in state-spaces' form: tied head, RMSNorm, no bias in linear layers."""

    hub_id: ClassVar[str | None] = None
    """The Hugging Face repository of the published weights, or None."""

    hub_files: ClassVar[tuple[str, ...]] = ("config.json", "pytorch_model.bin")
    """Which of its files are the model, as `fnmatch` patterns: repositories that hold two forms are read once."""

    d_model: Width
    n_layer: Depth

    d_state: int = Field(default=16, gt=0)
    """State numbers per inner channel."""

    expand: int = Field(default=2, gt=0)
    """Inner channels per channel of `d_model`."""

    d_conv: int = Field(default=4, gt=0)
    """Taps of the causal convolution, in tokens, the current one included."""

    vocab_size: VocabSize = None

    pad_vocab_multiple: int = Field(default=8, gt=0)
    """The embedding has the next multiple of this many rows."""

    norm_eps: float = Field(default=1e-5, gt=0)
    """Added to the mean square in every RMSNorm."""

    residual_in_fp32: bool = True
    """Whether the residual stream stays in float32 under half-precision weights."""

    tokenizer: TokenizerName = "gpt-neox-20b"
    template: TemplateName = "base"

    max_text_tokens: int = Field(default=2048, gt=0)
    """Longer text is cut, in tokens; visual tokens come on top."""

    weights: Weights = "hub"

    @property
    def d_inner(self) -> int:
        """Returns the number of inner channels."""
        return self.expand * self.d_model

    @property
    def padded_vocab_size(self) -> int | None:
        """Returns the rows of the embedding; None where the tokenizer decides."""
        return None if self.vocab_size is None else self.padded(self.vocab_size)

    def padded(self, tokens: int) -> int:
        """Returns the rows of an embedding for so many tokens."""
        return -(-tokens // self.pad_vocab_multiple) * self.pad_vocab_multiple

    @classmethod
    def tiny(cls) -> Self:
        """Returns a config that builds in milliseconds on a CPU, without weights, for checks."""
        return cls(d_model=64, n_layer=2, vocab_size=None, tokenizer="small", weights="none")


class MambaConfig(MambaFamilyConfig):
    """Mamba-1, as state-spaces' `MambaLMHeadModel` has it."""

    dt_rank: Annotated[int, Field(gt=0)] | Literal["auto"] = "auto"
    """Rank of the time step's projection; `auto` is d_model / 16, rounded up."""

    state_init: StateInit = "standard"

    @property
    def resolved_dt_rank(self) -> int:
        """Returns the rank of the time step's projection as a number."""
        return -(-self.d_model // 16) if self.dt_rank == "auto" else self.dt_rank


class MambaTinyConfig(MambaConfig):
    """The laptop's backbone: 233,344 parameters beside the embedding, the small tokenizer, random weights.

    Its `state_init` is `strong`: under the standard one, questions about one object of several stayed at the blind
    floor in runs of minutes (LAPTOP.md, probes V0 and V5).
    """

    d_model: Width = 128
    n_layer: Depth = 2
    state_init: StateInit = "strong"
    tokenizer: TokenizerName = "small"
    template: TemplateName = "chat"
    weights: Weights = "none"

    @classmethod
    def tiny(cls) -> Self:
        """Returns the defaults: they are tiny."""
        return cls()


class Mamba130mConfig(MambaConfig):
    """state-spaces/mamba-130m."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-130m"
    d_model: Width = 768
    n_layer: Depth = 24
    vocab_size: VocabSize = 50277


class Mamba370mConfig(MambaConfig):
    """state-spaces/mamba-370m."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-370m"
    d_model: Width = 1024
    n_layer: Depth = 48
    vocab_size: VocabSize = 50277


class Mamba790mConfig(MambaConfig):
    """state-spaces/mamba-790m."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-790m"
    d_model: Width = 1536
    n_layer: Depth = 48
    vocab_size: VocabSize = 50277


class Mamba1400mConfig(MambaConfig):
    """state-spaces/mamba-1.4b."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-1.4b"
    d_model: Width = 2048
    n_layer: Depth = 48
    vocab_size: VocabSize = 50277


class Mamba2800mConfig(MambaConfig):
    """state-spaces/mamba-2.8b."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-2.8b"
    d_model: Width = 2560
    n_layer: Depth = 64
    vocab_size: VocabSize = 50277


class Mamba2800mSlimpjConfig(Mamba2800mConfig):
    """state-spaces/mamba-2.8b-slimpj."""

    hub_id: ClassVar[str | None] = "state-spaces/mamba-2.8b-slimpj"


class Mamba2800mZephyrConfig(Mamba2800mConfig):
    """xiuyul/mamba-2.8b-zephyr."""

    hub_id: ClassVar[str | None] = "xiuyul/mamba-2.8b-zephyr"
    template: TemplateName = "chat"


class Mamba7bConfig(MambaConfig):
    """TRI-ML/mamba-7b-rw, which publishes one model twice: transformers' shards, which are read, and a pickle."""

    hub_id: ClassVar[str | None] = "TRI-ML/mamba-7b-rw"
    hub_files: ClassVar[tuple[str, ...]] = ("config.json", "*.safetensors", "model.safetensors.index.json")
    d_model: Width = 4096
    n_layer: Depth = 64
    vocab_size: VocabSize = 50432
