"""One token of decoding through a whole Mamba-1 model as one operator: every block and the last norm, states in place.

Taken apart, a step is a dozen operators per block, each of which costs more to call than to compute. Together they are
one call, whose time is that of reading the weights. `step_plan.py` says which models it takes; the others step block by
block.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from cobra_kit.interfaces import DecodeState
from cobra_kit_mamba import native_decode
from cobra_kit_mamba.operators import library
from cobra_kit_mamba.selection import choose_norm, compute_dtype
from cobra_kit_mamba.step_plan import StepPlan, find_plan

logger = logging.getLogger("cobra_kit.mamba")

MAX_ROWS = 16
"""Rows of a batch, up to which the kernel has been seen to be the faster one; more go through torch's own products."""

torch.library.define(
    "cobra_kit_mamba::decode_step",
    "(Tensor embeddings, Tensor[] parameters, Tensor(a!)[] states, Tensor(b!) lengths, float eps, Tensor(c!) out) -> "
    "()",
)  # custom_op would add a tenth of the step's time in Python, for gradients that a step does not have


@torch.library.impl("cobra_kit_mamba::decode_step", "CPU")
def _decode_step(
    embeddings: Tensor, parameters: Sequence[Tensor], states: Sequence[Tensor], lengths: Tensor, eps: float, out: Tensor
) -> None:
    native_decode.decode_step(library(), embeddings, parameters, states, lengths, eps, out)


def _decode_step_on_nothing(*args: Any) -> None:
    """Does nothing: there is no output whose shape tracing would want to know."""


torch.library.register_fake("cobra_kit_mamba::decode_step", _decode_step_on_nothing)

decode_step = torch.ops.cobra_kit_mamba.decode_step.default
"""Writes the normed hidden states `[b d]` to `out`, advances the states and the lengths by a token, allocates nothing.

Args:
    embeddings: `[b d_model]`.
    parameters: See `native_decode.decode_step`, as for the rest.
    states: See `parameters`.
    lengths: `[b]`.
    eps: Of the norms.
    out: `[b d_model]`.
"""


def one_call_step(layers: nn.Module, embeddings: Tensor, state: DecodeState) -> Tensor | None:
    """Advances every row by one token and returns the normed hidden states `[b d]`; None where it cannot.

    Nothing is done then, and why a model on the CPU stood against it is logged, once per reason.

    Args:
        layers: The model's blocks and last norm, a `backbone.MambaLayers`.
        embeddings: The new tokens' embeddings, `[b d_model]`.
        state: Advanced in place.
    """
    if not _takes(embeddings) or choose_norm(embeddings.device, compute_dtype(embeddings.dtype)).library is None:
        return None
    plan = _plans.get(layers)
    if plan is None or not plan.holds():
        plan = _plans[layers] = find_plan(layers)
    if plan.obstacle is not None:
        _log_once(plan.obstacle)
        return None
    tensors = [state.tensors.get(name, embeddings) for name in plan.states]
    if not plan.fits(embeddings, tensors, state.lengths):
        _log_once("the embeddings or the decode state are not float32, or do not fit the model")
        return None
    out = torch.empty_like(embeddings, memory_format=torch.contiguous_format)
    decode_step(embeddings.contiguous(), plan.parameters, tensors, state.lengths, plan.eps, out)
    return out


_plans: WeakKeyDictionary[nn.Module, StepPlan] = WeakKeyDictionary()
_logged: set[str] = set()


def _takes(embeddings: Tensor) -> bool:
    """Returns whether the kernel is the one for such a call: few rows, on the CPU, not traced, not under autocast."""
    return (
        embeddings.is_cpu
        and embeddings.dim() == 2
        and 0 < embeddings.shape[0] <= MAX_ROWS
        and type(embeddings) is Tensor
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
    )


def _log_once(obstacle: str) -> None:
    if obstacle not in _logged:
        _logged.add(obstacle)
        logger.warning("Mamba decodes block by block, slower than in one call: %s", obstacle)
