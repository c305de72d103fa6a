"""The Mamba-2 mixer (figure 6 of arXiv 2405.21060), with the parameter names of state-spaces' `mamba2.py`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cobra_kit.interfaces import full_precision
from cobra_kit_mamba.called import called_conv, called_conv_step, is_plain
from cobra_kit_mamba.conv import causal_conv_silu, conv_silu_step
from cobra_kit_mamba.decay import decay_rates
from cobra_kit_mamba.mamba2_config import MambaTwoConfig
from cobra_kit_mamba.mixer import last_inputs
from cobra_kit_mamba.selection import compute_dtype
from cobra_kit_mamba.ssd import state_space_dual, state_space_step


class GatedNorm(nn.Module):
    """RMSNorm of y silu(z) in groups of channels, computed in float32, in the dtype of the weight."""

    def __init__(self, width: int, groups: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.groups = groups
        self.eps = eps

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        """Gates and norms `[.. d]`."""
        dtype = compute_dtype(y.dtype, self.weight.dtype)
        gated = y.to(dtype) * F.silu(z.to(dtype))
        grouped = gated.view(*gated.shape[:-1], self.groups, gated.shape[-1] // self.groups)
        normed = F.rms_norm(grouped, grouped.shape[-1:], None, self.eps).flatten(-2)
        return (normed * self.weight.to(dtype)).to(self.weight.dtype)


class Mamba2Mixer(nn.Module):
    """`[b s d_model] -> [b s d_model]`: convolution, state space layer, gated norm.

    The time steps are a part of `in_proj`'s output. Where that is in half precision they are computed once more in
    float32, for h of some thousand columns: rounded to bfloat16 they cost as much accuracy as a bfloat16 decay.
    Not so where something has taken the place of `in_proj` (LoRA) or hooks it: its output is then taken as it is.
    """

    def __init__(self, config: MambaTwoConfig) -> None:
        super().__init__()
        inner, heads, channels = config.d_inner, config.n_heads, config.d_conv_channels
        self.sizes, self.d_conv = [inner, channels, heads], config.d_conv
        self.groups, self.d_state, self.head_dim = config.n_groups, config.d_state, config.head_dim
        self.in_proj = nn.Linear(config.d_model, inner + channels + heads, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, config.d_conv, groups=channels)  # see called.py
        self.dt_bias = nn.Parameter(torch.empty(heads))
        self.A_log = nn.Parameter(torch.empty(heads))
        self.D = nn.Parameter(torch.empty(heads))
        self.norm = GatedNorm(inner, config.n_groups, config.norm_eps)
        self.out_proj = nn.Linear(inner, config.d_model, bias=False)

    def forward(
        self,
        hidden: Tensor,
        conv_state: Tensor | None = None,
        ssm_state: Tensor | None = None,
        segment_ids: Tensor | None = None,
        starts: Tensor | None = None,
    ) -> Tensor:
        """Mixes whole rows.

        Args:
            hidden: `[b s d_model]`.
            conv_state: `[b d_conv_channels d_conv]`, continued and updated in place; None: a fresh start, nothing kept.
            ssm_state: `[b h p n]`, likewise.
            segment_ids: `[b s]`, 0 for right padding. Needed with states, which padding must not touch.
            starts: `[b s]`, true where a token begins a segment and sees nothing before it. Not with states.
        """
        z, inputs, dt = self._project(hidden)
        if conv_state is None or ssm_state is None or segment_ids is None:
            x, B, C = self._split(self._convolved(inputs, starts=starts))
            y, _ = state_space_dual(x, dt, self._A(), B, C, self.D, self.dt_bias, starts=starts)
            return self._out(y, z)
        # Copies, because autograd keeps what is used, and the states are about to change in place.
        past = conv_state[:, :, 1:].transpose(1, 2).clone(memory_format=torch.contiguous_format)
        before = ssm_state.clone()
        real = segment_ids != 0
        x, B, C = self._split(self._convolved(inputs, past))
        dt = dt.masked_fill(~real.unsqueeze(-1), -torch.inf)  # softplus gives 0: decay 1, input 0
        y, last = state_space_dual(x, dt, self._A(), B, C, self.D, self.dt_bias, before)
        with torch.no_grad():
            ssm_state.copy_(last)
            conv_state.copy_(last_inputs(conv_state, inputs, real.sum(1)))
        return self._out(y, z)

    def step(self, hidden: Tensor, conv_state: Tensor, ssm_state: Tensor) -> Tensor:
        """Mixes one token per row, `[b d_model]`, and advances the states in place."""
        z, inputs, dt = self._project(hidden)
        if is_plain(self.conv1d, nn.Conv1d):
            mixed = conv_silu_step(conv_state, inputs, self.conv1d.weight.squeeze(1), self.conv1d.bias)
        else:
            mixed = called_conv_step(self.conv1d, conv_state, inputs)
        x, B, C = self._split(mixed)
        y = state_space_step(ssm_state, x, dt, self._A(), B, C, self.D, self.dt_bias)
        return self._out(y, z)

    def _convolved(self, inputs: Tensor, before: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        if is_plain(self.conv1d, nn.Conv1d):
            return causal_conv_silu(inputs, self.conv1d.weight.squeeze(1), self.conv1d.bias, before, starts)
        return called_conv(self.conv1d, inputs, self.d_conv, before, starts)

    def _project(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the gate, the inputs of the convolution, and the time steps before bias and softplus."""
        projected = self.in_proj(hidden)
        z, inputs, dt = torch.split(projected, self.sizes, dim=-1)
        dtype = compute_dtype(dt.dtype)
        if dt.dtype != dtype and is_plain(self.in_proj, nn.Linear):
            with full_precision(hidden.device):
                dt = F.linear(hidden.to(dtype), self.in_proj.weight[-self.sizes[2] :].to(dtype))
        return z, inputs, dt

    def _split(self, convolved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns x `[.. h p]`, B and C `[.. g n]`."""
        shared = self.groups * self.d_state
        x, B, C = torch.split(convolved, [self.sizes[0], shared, shared], dim=-1)
        rows = x.shape[:-1]
        heads, groups = (*rows, self.sizes[2], self.head_dim), (*rows, self.groups, self.d_state)
        return x.reshape(heads), B.reshape(groups), C.reshape(groups)

    def _A(self) -> Tensor:
        return decay_rates(self.A_log, compute_dtype(self.A_log.dtype))

    def _out(self, y: Tensor, z: Tensor) -> Tensor:
        projected: Tensor = self.out_proj(self.norm(y.flatten(-2), z))
        return projected
