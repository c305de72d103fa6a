"""Declares the Mamba backbones. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from cobra_kit.plugin import BackboneSpec, DiagnosticSpec, hookimpl

_MAMBA1 = "cobra_kit_mamba.backbone:MambaBackbone"
_MAMBA2 = "cobra_kit_mamba.mamba2:Mamba2Backbone"

_MAMBA1_PRETRAINED = {
    "tiny-base": ("passages about drawn scenes", "MambaTinyBaseConfig"),
    "tiny-chat": ("passages and conversations about drawn scenes", "MambaTinyChatConfig"),
}
_MAMBA1_SIZES = {
    "130m": ("130M parameters, the Pile", "Mamba130mConfig"),
    "370m": ("370M parameters, the Pile", "Mamba370mConfig"),
    "790m": ("790M parameters, the Pile", "Mamba790mConfig"),
    "1.4b": ("1.4B parameters, the Pile", "Mamba1400mConfig"),
    "2.8b": ("2.8B parameters, the Pile", "Mamba2800mConfig"),
    "2.8b-slimpj": ("2.8B parameters, SlimPajama: Cobra's base model", "Mamba2800mSlimpjConfig"),
    "2.8b-zephyr": ("2.8B parameters, tuned for chat: Cobra's default", "Mamba2800mZephyrConfig"),
    "7b": ("7B parameters, RefinedWeb: Cobra-8B's base model", "Mamba7bConfig"),
}
_MAMBA2_SIZES = {
    "mamba2-tiny": ("0.22M parameters beside the embedding, for laptops and checks", "MambaTwoTinyConfig"),
    "mamba2-130m": ("130M parameters, the Pile", "MambaTwo130mConfig"),
    "mamba2-370m": ("370M parameters, the Pile", "MambaTwo370mConfig"),
    "mamba2-780m": ("780M parameters, the Pile", "MambaTwo780mConfig"),
    "mamba2-1.3b": ("1.3B parameters, the Pile", "MambaTwo1300mConfig"),
    "mamba2-2.7b": ("2.7B parameters, the Pile", "MambaTwo2700mConfig"),
}


@hookimpl
def cobra_backbones() -> Iterator[BackboneSpec]:
    """Yields both generations in every published size, a tiny one of each, and the pretrained tiny ones."""
    yield BackboneSpec(
        name="tiny",
        summary="Mamba-1, 0.23M parameters beside the embedding, for laptops and checks",
        target=_MAMBA1,
        config="cobra_kit_mamba.config:MambaTinyConfig",
    )
    for name, (read, config) in _MAMBA1_PRETRAINED.items():
        yield BackboneSpec(
            name=name,
            summary=f"mamba/tiny with weights, pretrained on {read}",
            target=_MAMBA1,
            config=f"cobra_kit_mamba.config:{config}",
        )
    for name, (summary, config) in _MAMBA1_SIZES.items():
        yield BackboneSpec(
            name=name,
            summary=f"Mamba-1, {summary}",
            target=_MAMBA1,
            config=f"cobra_kit_mamba.config:{config}",
            prismatic_id=f"mamba-{name}" if name.startswith(("1.4b", "2.8b")) else "",
        )
    for name, (summary, config) in _MAMBA2_SIZES.items():
        yield BackboneSpec(
            name=name,
            summary=f"Mamba-2, {summary}",
            target=_MAMBA2,
            config=f"cobra_kit_mamba.mamba2_config:{config}",
        )


@hookimpl
def cobra_diagnostics() -> Iterator[DiagnosticSpec]:
    """Yields the look at the C compiler and the compiled kernels."""
    yield DiagnosticSpec(name="native-kernels", target="cobra_kit_mamba.diagnostics:native_kernels")
