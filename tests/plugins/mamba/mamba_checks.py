"""What the tests of the Mamba plugin share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast, overload

import torch
from torch import Tensor

from cobra_kit.interfaces import FusedSequence, LayoutBatch
from cobra_kit_mamba.backbone import MambaBackbone, MambaLanguageModel
from cobra_kit_mamba.config import MambaConfig, MambaFamilyConfig
from cobra_kit_mamba.mamba2 import Mamba2Backbone
from cobra_kit_mamba.mamba2_config import MambaTwoConfig

NAMES = ("u", "dt", "A", "B", "C", "D", "z", "dt_bias", "initial_state")
EXACT = 3e-6
"""The largest relative error of float32 against float64. Measured: 9e-7; other processors sum in other orders."""

Scan = Callable[..., tuple[Tensor, Tensor]]


def scan_inputs(b: int, s: int, d: int, n: int, *, seed: int = 0) -> list[Tensor]:
    """Returns the nine inputs of a scan in float32, with decays from slow to fast."""
    g = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    A = -torch.arange(1.0, n + 1).repeat(d, 1)
    wide, narrow = (b, s, d), (b, s, n)
    bias = random(d) * 0.5 - 3
    return [random(*wide), random(*wide), A, random(*narrow), random(*narrow), random(d), random(*wide), bias]


def with_state(inputs: Sequence[Tensor], *, seed: int = 1) -> list[Tensor]:
    """Returns the inputs and an initial state."""
    (b, _, d), n = inputs[0].shape, inputs[2].shape[1]
    return [*inputs, torch.randn(b, d, n, generator=torch.Generator().manual_seed(seed))]


def results(scan: Scan, inputs: Sequence[Tensor], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Returns y, the last state and the gradient of every input, for fixed random gradients of both outputs."""
    leaves = [x.detach().to(dtype).requires_grad_() for x in inputs]
    y, state = scan(*leaves)
    g = torch.Generator().manual_seed(2)
    weights = [torch.randn(out.shape, generator=g).to(out.dtype) for out in (y, state)]
    grads = torch.autograd.grad([y, state], leaves, weights)
    return {"y": y.detach(), "state": state.detach(), **dict(zip(NAMES, grads, strict=False))}


def relative_error(ours: Tensor, reference: Tensor) -> float:
    """Returns max|error| / max|reference| in float64; where the reference is zero, so must ours be."""
    error, size = (ours.detach().double() - reference.double()).abs().max(), reference.detach().double().abs().max()
    return float(error.detach() / size.clamp(min=torch.finfo(torch.float64).tiny))


@overload
def build(config: MambaConfig, seed: int = 0) -> MambaBackbone: ...


@overload
def build(config: MambaTwoConfig, seed: int = 0) -> Mamba2Backbone: ...


def build(config: MambaFamilyConfig, seed: int = 0) -> MambaLanguageModel:
    """Builds a backbone as the core does: meta, allocate, reset."""
    with torch.device("meta"):
        model = on_meta(config)
    model.to_empty(device="cpu")
    model.reset_parameters(torch.Generator().manual_seed(seed))
    return model.eval()


def on_meta(config: MambaFamilyConfig) -> MambaLanguageModel:
    """Returns the backbone of either generation, on the device of the context."""
    return Mamba2Backbone(config) if isinstance(config, MambaTwoConfig) else MambaBackbone(cast(MambaConfig, config))


def sequence(embeddings: Tensor, lengths: Sequence[int] | None = None) -> FusedSequence:
    """Returns one segment per row, padded on the right."""
    b, s, _ = embeddings.shape
    lengths = [s] * b if lengths is None else list(lengths)
    positions = torch.arange(s).expand(b, s)
    real = positions < torch.tensor(lengths, dtype=torch.int64).unsqueeze(1)
    ends = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    layout = LayoutBatch(
        source=torch.zeros(b, s, dtype=torch.int64),
        segment_ids=real.to(torch.int32),
        positions=positions,
        labels=None,
        cu_seqlens=ends,
        lengths=tuple(lengths),
    )
    return FusedSequence(embeddings, layout)
