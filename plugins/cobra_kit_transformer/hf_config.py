"""Settings of the backbones that transformers builds. Imports no torch and no transformers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from cobra_kit.config import ComponentConfig
from cobra_kit_transformer.config import Template, Weights
from cobra_kit_transformer.published import MOBILELLAMA_2_7B, PHI_2, PYTHIA_2_8B, VICUNA_7B, Published

SMALL_TOKENIZER = "small"
"""What `tokenizer` is set to for the packaged tokenizer of the tiny parts."""

_TINY: dict[str, Any] = {
    "vocab_size": 960,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 96,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


class DecoderConfig(ComponentConfig):
    """The settings that every backbone that transformers builds has."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Laid over the model's `config.json`, such as `{num_hidden_layers: 4}`: another model than the published one."""

    tokenizer: str | None = None
    """Path of a `tokenizer.json` or of a folder with one; `small`: the packaged one of the tiny parts; null: the
    model's own, beside its weights, else from the hub."""

    template: Template = "chat"

    max_text_tokens: PositiveInt = 2048
    """Longer text is cut, in tokens; visual tokens come on top."""

    attention: Literal["sdpa", "eager"] = "sdpa"
    """Attention of transformers: PyTorch's fused one, or plain matrix products."""

    weights: Weights = "hub"

    published: ClassVar[Published | None] = None

    @classmethod
    def tiny(cls) -> Self:
        """Returns a config of the same architecture that builds in milliseconds, with the packaged tokenizer."""
        return cls(settings=_TINY, tokenizer=SMALL_TOKENIZER, weights="none")


class HfConfig(DecoderConfig):
    """A causal language model of transformers, of a type that computes here what it computes there."""

    model: str | None = None
    """Hub repository, or a folder with `config.json`; null: `settings` say everything, `model_type` first."""

    template: Template = "base"

    begin_of_text: str | None = None
    """What stands before every text, such as `<s>`; null: what `tokenizer_config.json` says, if it says so."""

    end_of_text: str | None = None
    """The special token that ends an answer; null: what `tokenizer_config.json` says, else `<|endoftext|>`."""

    @classmethod
    def tiny(cls) -> Self:
        """Returns a small GPT-NeoX with the packaged tokenizer, without weights."""
        return cls(settings={"model_type": "gpt_neox", **_TINY}, tokenizer=SMALL_TOKENIZER, weights="none")

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if self.model is None and "model_type" not in self.settings:
            raise ValueError("name a model (a hub repository or a folder), or give settings with a model_type")
        if self.model is None and self.weights == "hub":
            raise ValueError("weights: hub needs a model; without one give weights: none, or a path")
        return self


class Pythia2800mConfig(DecoderConfig):
    """Pythia-2.8B: data and tokenizer of Mamba-2.8B, so the matched Transformer arm at full size."""

    template: Template = "base"

    published: ClassVar[Published | None] = PYTHIA_2_8B


class Phi2Config(DecoderConfig):
    """Phi-2: the backbone of LLaVA-Phi and TinyLLaVA."""

    template: Template = "llava-phi"

    published: ClassVar[Published | None] = PHI_2


class Vicuna7bConfig(DecoderConfig):
    """Vicuna-7B v1.5: the backbone of LLaVA-1.5-7B."""

    template: Template = "vicuna-v1"

    published: ClassVar[Published | None] = VICUNA_7B


class MobileLlama2700mConfig(DecoderConfig):
    """MobileLLaMA-2.7B, tuned for chat: the backbone of MobileVLM V2 3B."""

    template: Template = "mobilevlm-v2"

    published: ClassVar[Published | None] = MOBILELLAMA_2_7B
