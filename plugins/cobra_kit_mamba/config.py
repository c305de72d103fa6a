"""The sizes of Mamba language models: what both generations share, and Mamba-1. Imports no torch.

Sizes: `config.json` of the repositories that the table below names; PAPER.md 1.5 for the ones Cobra uses.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, get_type_hints

from pydantic import Field, create_model

from cobra_kit.config import ComponentConfig

# The fields that sizes override carry their description in the type, so that it is inherited with it.
Width = Annotated[int, Field(gt=0, description="Width of embeddings and hidden states, in channels.")]
Depth = Annotated[int, Field(gt=0, le=1_000, description="Number of blocks.")]
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
        description="`none` (random), `hub` (published), `packaged` (of `tiny-base` and `tiny-chat`), or the path of a "
        "safetensors or .bin file or of a folder with one, in the form of state-spaces or of transformers."
    ),
]


class MambaFamilyConfig(ComponentConfig):
    """The base of Mamba-1 and Mamba-2, in state-spaces' form: tied head, RMSNorm, no bias in linear layers."""

    hub_id: ClassVar[str | None] = None
    """The Hugging Face repository of the published weights, or None."""

    hub_files: ClassVar[tuple[str, ...]] = ("config.json", "pytorch_model.bin")
    """Which of its files are the model, as `fnmatch` patterns: repositories that hold two forms are read once."""

    packaged_file: ClassVar[str | None] = None
    """The file in the plugin's folder `weights` that `weights: packaged` stands for, or None."""

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


class MambaTinyPretrainedConfig(MambaTinyConfig):
    """The base of `mamba/tiny` with weights that come with the plugin."""

    weights: Weights = "packaged"

    @classmethod
    def tiny(cls) -> Self:
        """Returns the defaults without their weights."""
        return cls(weights="none")


class MambaTinyBaseConfig(MambaTinyPretrainedConfig):
    """`mamba/tiny` that has read passages about scenes, as a base model has read texts.

    Its template is that of `mamba/tiny`, so that models that begin with either differ in weights alone.
    """

    packaged_file: ClassVar[str | None] = "tiny_base.safetensors"


class MambaTinyChatConfig(MambaTinyPretrainedConfig):
    """`mamba/tiny` that has read passages, then conversations about described scenes: a chat model."""

    packaged_file: ClassVar[str | None] = "tiny_chat.safetensors"


def published(base: type[MambaFamilyConfig], name: str, repository: str, **defaults: Any) -> type[Any]:
    """Returns the config class of a published model: the base's fields, some with defaults of their own.

    It is `type[Any]` to type checkers, which cannot see that nothing must be given.

    Args:
        base: The config class of the generation.
        name: The variable that it is assigned to, by which pickles find it again.
        repository: Where the weights are on the hub.
        **defaults: Default values by field name.
    """
    # create_model keeps description and bounds only where it is given the annotated type again.
    types = get_type_hints(base, include_extras=True)
    fields: dict[str, Any] = {field: (types[field], value) for field, value in defaults.items()}
    options = {"use_attribute_docstrings": False}  # there are none to look for, which costs most of an import's time
    document = f"{repository}."
    model = create_model(
        name, __base__=base, __module__=base.__module__, __doc__=document, __cls_kwargs__=options, **fields
    )
    model.hub_id = repository
    return model


def _mamba(name: str, repository: str, d_model: int, n_layer: int, **defaults: Any) -> type[Any]:
    sizes = {"d_model": d_model, "n_layer": n_layer, "vocab_size": 50277}
    return published(MambaConfig, name, repository, **sizes | defaults)


Mamba130mConfig = _mamba("Mamba130mConfig", "state-spaces/mamba-130m", 768, 24)
Mamba370mConfig = _mamba("Mamba370mConfig", "state-spaces/mamba-370m", 1024, 48)
Mamba790mConfig = _mamba("Mamba790mConfig", "state-spaces/mamba-790m", 1536, 48)
Mamba1400mConfig = _mamba("Mamba1400mConfig", "state-spaces/mamba-1.4b", 2048, 48)
Mamba2800mConfig = _mamba("Mamba2800mConfig", "state-spaces/mamba-2.8b", 2560, 64)
Mamba2800mSlimpjConfig = _mamba("Mamba2800mSlimpjConfig", "state-spaces/mamba-2.8b-slimpj", 2560, 64)
Mamba2800mZephyrConfig = _mamba("Mamba2800mZephyrConfig", "xiuyul/mamba-2.8b-zephyr", 2560, 64, template="chat")
Mamba7bConfig = _mamba("Mamba7bConfig", "TRI-ML/mamba-7b-rw", 4096, 64, vocab_size=50432)
Mamba7bConfig.__doc__ = (
    "TRI-ML/mamba-7b-rw, which publishes one model twice: transformers' shards, which are read, and a pickle."
)
Mamba7bConfig.hub_files = ("config.json", "*.safetensors", "model.safetensors.index.json")
