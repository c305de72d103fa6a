"""The Mamba-1 mixer (figure 3 of arXiv 2312.00752), with the parameter names of state-spaces' `mamba_simple.py`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cobra_kit.interfaces import full_precision
from cobra_kit_mamba import fused_mixer
from cobra_kit_mamba.called import called_conv, called_conv_step, is_plain
from cobra_kit_mamba.config import MambaConfig
from cobra_kit_mamba.conv import causal_conv_silu, conv_silu_step
from cobra_kit_mamba.decay import decay_rates
from cobra_kit_mamba.scan import selective_scan, selective_step
from cobra_kit_mamba.selection import choose_conv, choose_scan, compute_dtype


class MambaMixer(nn.Module):
    """`[b s d_model] -> [b s d_model]`: gate, causal convolution, selective scan.

    The time step is computed in float32 whatever the weights' dtype: rounded to bfloat16 it costs as much accuracy
    as a bfloat16 decay (SCAN.md, numerical traps).
    """

    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        inner, rank, self.d_state = config.d_inner, config.resolved_dt_rank, config.d_state
        self.dt_rank, self.d_conv = rank, config.d_conv
        self.in_proj = nn.Linear(config.d_model, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, config.d_conv, groups=inner)  # see called.py
        self.x_proj = nn.Linear(inner, rank + 2 * config.d_state, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.empty(inner, config.d_state))
        self.D = nn.Parameter(torch.empty(inner))
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
            conv_state: `[b d_inner d_conv]`, continued and updated in place; None: a fresh start, nothing kept.
            ssm_state: `[b d_inner d_state]`, likewise.
            segment_ids: `[b s]`, 0 for right padding. Needed with states, which padding must not touch.
            starts: `[b s]`, true where a token begins a segment and sees nothing before it. Not with states.
        """
        xz = self.in_proj(hidden)
        stateless = conv_state is None or ssm_state is None or segment_ids is None
        if stateless and self._fusable(xz):
            weight, bias = self.conv1d.weight.squeeze(1), self.conv1d.bias
            assert bias is not None
            given = (xz, weight, bias, self.x_proj.weight, self.dt_proj.weight, self.dt_proj.bias, self.A_log, self.D)
            keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
            return self._out(fused_mixer.mixer(*given, starts, keep)[0])
        x, z = xz.chunk(2, dim=-1)
        if conv_state is None or ssm_state is None or segment_ids is None:
            x = self._convolved(x, starts=starts)
            dt, dt_bias, B, C = self._selection(x)
            return self._out(selective_scan(x, dt, self._A(), B, C, self.D, z, dt_bias, starts=starts))
        # Copies, because autograd keeps what is used, and the states are about to change in place.
        before = conv_state[:, :, 1:].transpose(1, 2).clone(memory_format=torch.contiguous_format)
        initial = ssm_state.clone()
        real = segment_ids != 0
        inputs, x = x, self._convolved(x, before)
        dt, dt_bias, B, C = self._selection(x)
        dt = dt.masked_fill(~real.unsqueeze(-1), -torch.inf)  # softplus gives 0: decay 1, input 0
        mixed, last = selective_scan(
            x, dt, self._A(), B, C, self.D, z, dt_bias, initial_state=initial, return_state=True
        )
        with torch.no_grad():
            ssm_state.copy_(last)
            conv_state.copy_(last_inputs(conv_state, inputs, real.sum(1)))
        return self._out(mixed)

    def step(self, hidden: Tensor, conv_state: Tensor, ssm_state: Tensor) -> Tensor:
        """Mixes one token per row, `[b d_model]`, and advances the states in place."""
        x, z = self.in_proj(hidden).chunk(2, dim=-1)
        if is_plain(self.conv1d, nn.Conv1d):
            x = conv_silu_step(conv_state, x, self.conv1d.weight.squeeze(1), self.conv1d.bias)
        else:
            x = called_conv_step(self.conv1d, conv_state, x)
        dt, dt_bias, B, C = self._selection(x)
        dt_bias = torch.zeros_like(self.D) if dt_bias is None else dt_bias
        return self._out(selective_step(ssm_state, x, dt, self.A_log, B, C, self.D, z, dt_bias, log_A=True))

    def _fusable(self, xz: Tensor) -> bool:
        """Returns whether one operator may do all between the outer projections.

        A wrapped or hooked projection must be called, and autocast must see every product.
        """
        if xz.numel() == 0 or not is_plain(self.conv1d, nn.Conv1d):
            return False
        if not (is_plain(self.x_proj, nn.Linear) and is_plain(self.dt_proj, nn.Linear)):
            return False
        weights = (self.conv1d.weight, self.x_proj.weight, self.dt_proj.weight, self.A_log, self.D)
        choices = (
            choose_scan(xz.device, compute_dtype(xz.dtype), self.d_state),
            choose_conv(xz.device, compute_dtype(xz.dtype), self.conv1d.weight.shape[-1]),
        )
        return (
            all(choice.library is not None for choice in choices)
            and all(tensor.dtype == torch.float32 for tensor in (xz, *weights))
            and not torch.is_autocast_enabled(xz.device.type)
        )

    def _convolved(self, x: Tensor, before: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        if is_plain(self.conv1d, nn.Conv1d):
            return causal_conv_silu(x, self.conv1d.weight.squeeze(1), self.conv1d.bias, before, starts)
        return called_conv(self.conv1d, x, self.d_conv, before, starts)

    def _A(self) -> Tensor:
        return decay_rates(self.A_log, compute_dtype(self.A_log.dtype))

    def _selection(self, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """Returns the time steps before softplus, their bias (None: added already), B and C that the tokens select."""
        low, B, C = self.x_proj(x).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        if not is_plain(self.dt_proj, nn.Linear):
            called: Tensor = self.dt_proj(low)
            return called.to(compute_dtype(called.dtype)), None, B, C
        dtype = compute_dtype(low.dtype, self.dt_proj.weight.dtype)
        with full_precision(x.device):
            dt = F.linear(low.to(dtype), self.dt_proj.weight.to(dtype))
        return dt, self.dt_proj.bias, B, C

    def _out(self, mixed: Tensor) -> Tensor:
        projected: Tensor = self.out_proj(mixed)
        return projected


def last_inputs(state: Tensor, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Returns the last `d_conv` inputs `[b d d_conv]` of each row after `lengths` more tokens of `inputs` `[b s d]`."""
    taps, steps = state.shape[2], inputs.shape[1]
    # The place of each wanted input behind the state's own; only those are copied, not all that was read.
    places = lengths.unsqueeze(1) + torch.arange(taps, device=lengths.device)

    def taken(source: Tensor, index: Tensor) -> Tensor:
        return source.gather(1, index.unsqueeze(-1).expand(-1, -1, source.shape[2]))

    kept = taken(state.transpose(1, 2), places.clamp_max(taps - 1))
    if not steps:
        return kept.transpose(1, 2)
    read = taken(inputs, (places - taps).clamp_min(0)).to(state.dtype)
    return torch.where((places < taps).unsqueeze(-1), kept, read).transpose(1, 2)
