"""Declares the Transformer backbones. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from cobra_kit.plugin import BackboneSpec, hookimpl

_REQUIRES = ("transformers>=5,<6",)
_UNFINISHED = (
    "published Transformer backbones come with the full-size parts, not in this version; "
    "use transformer/tiny, which matches mamba/tiny"
)
_LATER = {
    "hf": ("any causal language model that transformers can load", "HfConfig"),
    "pythia-2.8b": ("Pythia-2.8B: data and tokenizer of mamba/2.8b", "Pythia2800mConfig"),
    "phi-2": ("Phi-2, the backbone of LLaVA-Phi and TinyLLaVA", "Phi2Config"),
}


@hookimpl
def cobra_backbones() -> Iterable[BackboneSpec]:
    """Returns the tiny backbone, and the names that recipes may already use."""
    yield BackboneSpec(
        name="tiny",
        summary="GPT-NeoX, 0.23M parameters beside the embedding, the match of mamba/tiny",
        target="cobra_kit_transformer.backbone:GptNeoxBackbone",
        config="cobra_kit_transformer.config:TransformerTinyConfig",
        requires=_REQUIRES,
    )
    for name, (summary, config) in _LATER.items():
        yield BackboneSpec(
            name=name,
            summary=summary,
            target="cobra_kit_transformer.hf:HfBackbone",
            config=f"cobra_kit_transformer.config:{config}",
            requires=_REQUIRES,
            unfinished=_UNFINISHED,
        )
