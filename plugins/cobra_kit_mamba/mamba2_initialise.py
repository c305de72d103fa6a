"""First values of a Mamba-2 language model, as state-spaces draws them.

Sources: `mamba_ssm/modules/mamba2.py` (A, D, time step) of state-spaces/mamba, commit 03a38fb; the rest as in
`initialise.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, nn

from cobra_kit_mamba.block import RMSNorm
from cobra_kit_mamba.initialise import EMBEDDING_STD, before_softplus, time_steps, uniform_
from cobra_kit_mamba.mamba2_config import MambaTwoConfig
from cobra_kit_mamba.mamba2_mixer import Mamba2Mixer

A_MIN, A_MAX = 1.0, 16.0


@torch.no_grad()
def initialise_mamba2(
    config: MambaTwoConfig,
    embedding: nn.Embedding,
    blocks: Sequence[nn.Module],
    norm: RMSNorm,
    generator: Generator | None,
) -> None:
    """Fills every parameter in place, in a fixed order."""
    embedding.weight.normal_(std=EMBEDDING_STD, generator=generator)
    for block in blocks:
        mixer, block_norm = block.mixer, block.norm
        assert isinstance(mixer, Mamba2Mixer)
        assert isinstance(block_norm, RMSNorm)
        _initialise_mixer(config, mixer, generator)
        block_norm.weight.fill_(1.0)
    norm.weight.fill_(1.0)


def _initialise_mixer(config: MambaTwoConfig, mixer: Mamba2Mixer, generator: Generator | None) -> None:
    uniform_(mixer.in_proj.weight, config.d_model, generator)
    uniform_(mixer.conv1d.weight, config.d_conv, generator)
    if mixer.conv1d.bias is not None:
        uniform_(mixer.conv1d.bias, config.d_conv, generator)
    uniform_(mixer.out_proj.weight, config.d_inner, generator)
    mixer.out_proj.weight.div_(math.sqrt(config.n_layer))  # one residual addition per block
    mixer.dt_bias.copy_(before_softplus(time_steps(config.n_heads, generator)))
    rate = torch.empty(config.n_heads, dtype=torch.float32, device="cpu").uniform_(A_MIN, A_MAX, generator=generator)
    mixer.A_log.copy_(torch.log(rate))
    mixer.D.fill_(1.0)
    mixer.norm.weight.fill_(1.0)
