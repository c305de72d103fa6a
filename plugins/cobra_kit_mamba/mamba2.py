"""Mamba-2 as a backbone: another mixer and other states in the same language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn

from cobra_kit.interfaces import KernelReport
from cobra_kit_mamba.backbone import MambaLanguageModel
from cobra_kit_mamba.block import MambaBlock, RMSNorm
from cobra_kit_mamba.mamba2_config import MambaTwoConfig
from cobra_kit_mamba.mamba2_initialise import initialise_mamba2
from cobra_kit_mamba.mamba2_mixer import Mamba2Mixer
from cobra_kit_mamba.reports import mamba2_kernel_reports


class Mamba2Block(MambaBlock):
    """The residual block around the Mamba-2 mixer."""

    def __init__(self, config: MambaTwoConfig) -> None:
        nn.Module.__init__(self)
        self.mixer = Mamba2Mixer(config)  # type: ignore[assignment]  # called as MambaMixer is, by the same methods
        self.norm = RMSNorm(config.d_model, config.norm_eps)


class Mamba2Backbone(MambaLanguageModel):
    """A Mamba-2 language model."""

    lora_targets: ClassVar[tuple[str, ...]] = ("in_proj", "out_proj")
    never_quantise: ClassVar[tuple[str, ...]] = ("A_log", "D", "dt_bias")
    config: MambaTwoConfig

    def __init__(self, config: MambaTwoConfig) -> None:
        super().__init__(config)

    def new_block(self) -> MambaBlock:
        """Returns a block with the Mamba-2 mixer."""
        return Mamba2Block(self.config)

    def state_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Returns `[d_conv_channels d_conv]` and `[h p n]`: heads, their channels, `d_state`."""
        config = self.config
        return (config.d_conv_channels, config.d_conv), (config.n_heads, config.head_dim, config.d_state)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills all parameters as `mamba2_initialise.py` says."""
        layers = self.backbone
        initialise_mamba2(self.config, layers.embedding, self.blocks(), layers.norm_f, generator)

    def kernels(self) -> Sequence[KernelReport]:
        """Returns which kernels the layers would use on the device and in the dtype of the parameters."""
        return mamba2_kernel_reports(self.config, self.backbone.embedding.weight)
