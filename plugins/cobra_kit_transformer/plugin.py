"""Declares the Transformer backbones. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from cobra_kit.plugin import BackboneSpec, hookimpl

_REQUIRES = ("transformers>=5,<6",)
_PRETRAINED = {
    "tiny-base": ("passages about drawn scenes", "TransformerTinyBaseConfig"),
    "tiny-chat": ("passages and conversations about drawn scenes", "TransformerTinyChatConfig"),
}
_FROM_TRANSFORMERS = {
    "hf": (
        "a causal language model of transformers that agrees with its own class, by repository or folder",
        "HfConfig",
    ),
    "pythia-2.8b": ("Pythia-2.8B: data and tokenizer of mamba/2.8b", "Pythia2800mConfig"),
    "phi-2": ("Phi-2, the backbone of LLaVA-Phi and TinyLLaVA", "Phi2Config"),
    "vicuna-7b": ("Vicuna-7B v1.5, the backbone of LLaVA-1.5-7B", "Vicuna7bConfig"),
    "mobilellama-2.7b": ("MobileLLaMA-2.7B, the backbone of MobileVLM V2 3B", "MobileLlama2700mConfig"),
}


@hookimpl
def cobra_backbones() -> Iterable[BackboneSpec]:
    """Returns the tiny backbones, any model of transformers, and the published ones that have names."""
    yield BackboneSpec(
        name="tiny",
        summary="GPT-NeoX, 0.23M parameters beside the embedding, the match of mamba/tiny",
        target="cobra_kit_transformer.backbone:GptNeoxBackbone",
        config="cobra_kit_transformer.config:TransformerTinyConfig",
        requires=_REQUIRES,
    )
    for name, (read, config) in _PRETRAINED.items():
        yield BackboneSpec(
            name=name,
            summary=f"transformer/tiny with weights, pretrained on {read}",
            target="cobra_kit_transformer.backbone:GptNeoxBackbone",
            config=f"cobra_kit_transformer.config:{config}",
            requires=_REQUIRES,
        )
    for name, (summary, config) in _FROM_TRANSFORMERS.items():
        yield BackboneSpec(
            name=name,
            summary=summary,
            target="cobra_kit_transformer.hf:HfBackbone",
            config=f"cobra_kit_transformer.hf_config:{config}",
            requires=_REQUIRES,
        )
