"""First values of a Mamba language model, as state-spaces draws them, and a stronger variant for short runs.

Sources: `mamba_ssm/modules/mamba_simple.py` (A, D, time step) and `mamba_ssm/models/mixer_seq_simple.py`
(`_init_weights`: embedding, rescaled output projection) of state-spaces/mamba, commit 107eb60. What neither names
keeps PyTorch's own draw, uniform in +-1/sqrt(fan_in).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from cobra_kit_mamba.block import MambaBlock, RMSNorm
from cobra_kit_mamba.config import MambaConfig
from cobra_kit_mamba.mixer import MambaMixer

EMBEDDING_STD = 0.02
DT_MIN, DT_MAX, DT_FLOOR = 1e-3, 1e-1, 1e-4

STRONG_SELECTION, STRONG_DECAY, STRONG_DT = 8.0, 1 / 16, 4.0
"""The `strong` start, "xa 8,16,4" of LAPTOP.md: x_proj's rows for B and C, A, and the time step, times these."""


@torch.no_grad()
def initialise(
    config: MambaConfig,
    embedding: nn.Embedding,
    blocks: Sequence[nn.Module],
    norm: RMSNorm,
    generator: Generator | None,
) -> None:
    """Fills every parameter in place, in a fixed order."""
    embedding.weight.normal_(std=EMBEDDING_STD, generator=generator)
    for block in blocks:
        assert isinstance(block, MambaBlock)
        _initialise_mixer(config, block.mixer, generator)
        block.norm.weight.fill_(1.0)
    norm.weight.fill_(1.0)


def _initialise_mixer(config: MambaConfig, mixer: MambaMixer, generator: Generator | None) -> None:
    strong = config.state_init == "strong"
    uniform_(mixer.in_proj.weight, config.d_model, generator)
    uniform_(mixer.conv1d.weight, config.d_conv, generator)
    if mixer.conv1d.bias is not None:
        uniform_(mixer.conv1d.bias, config.d_conv, generator)
    uniform_(mixer.x_proj.weight, config.d_inner, generator)
    uniform_(mixer.dt_proj.weight, config.resolved_dt_rank, generator)
    uniform_(mixer.out_proj.weight, config.d_inner, generator)
    mixer.out_proj.weight.div_(math.sqrt(config.n_layer))  # one residual addition per block

    dt = time_steps(config.d_inner, generator)
    rate = torch.arange(1, config.d_state + 1, dtype=torch.float32, device="cpu")
    if strong:
        mixer.x_proj.weight[config.resolved_dt_rank :].mul_(STRONG_SELECTION)
        dt, rate = dt * STRONG_DT, rate * STRONG_DECAY
    mixer.dt_proj.bias.copy_(before_softplus(dt))
    mixer.A_log.copy_(torch.log(rate).expand_as(mixer.A_log))
    mixer.D.fill_(1.0)


def time_steps(count: int, generator: Generator | None) -> Tensor:
    """Draws time steps `[count]` between `DT_MIN` and `DT_MAX`, evenly on a logarithmic scale."""
    dt = torch.rand(count, generator=generator, dtype=torch.float32, device="cpu")
    return torch.exp(dt * math.log(DT_MAX / DT_MIN) + math.log(DT_MIN)).clamp(min=DT_FLOOR)


def before_softplus(dt: Tensor) -> Tensor:
    """Returns what softplus turns into `dt`, of any shape."""
    return dt + torch.log(-torch.expm1(-dt))


def uniform_(weight: Tensor, fan_in: int, generator: Generator | None) -> None:
    """Fills a weight of any shape as PyTorch's linear and convolution layers do."""
    bound = 1 / math.sqrt(fan_in)
    weight.uniform_(-bound, bound, generator=generator)
