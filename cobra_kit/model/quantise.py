"""Weights of linear layers in 8 bits, for decoding: a quarter of float32's memory, and of what a step has to read.

Symmetric and per output channel: `w[o, :] ~ scale[o] * q[o, :]` with `scale[o] = max|w[o, :]| / 127`, as in
LLM.int8() (Dettmers et al. 2022, arXiv 2208.07339, section 2.1) without its outliers. Activations keep their type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cobra_kit.errors import TrainingError, WeightsError
from cobra_kit.interfaces import Backbone
from cobra_kit.model.placement import module_bytes
from cobra_kit.model.vision_language_model import VisionLanguageModel

_PACKED_ROWS = 4
"""Most rows for which torch's int8 product is the faster one on a CPU (measured in bfloat16; LOG.md)."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """The outcome of `quantise_int8_` on a backbone.

    Args:
        layers: Linear layers whose weights are int8 now.
        kept: Names of those that stay as they were: the backbone lists their weight, or shares it.
        bytes_before: Bytes of the backbone's parameters and buffers before.
        bytes_after: Bytes of the same afterwards.
    """

    layers: int
    kept: tuple[str, ...]
    bytes_before: int
    bytes_after: int


class Int8Linear(nn.Module):
    """A linear layer with int8 weights; it answers, and is neither trained nor saved.

    Args:
        linear: The layer whose weights are taken.

    Attributes:
        codes: int8 `[out in]`, each weight divided by its row's scale and rounded.
        scales: float32 `[out]`, one per row of the weights.
        bias: As it was, or None.
    """

    codes: Tensor
    scales: Tensor
    decodes_fast = True  # nothing is lost where a recorded graph repeats it

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(1) / 127
        scales = torch.where(scales > 0, scales, torch.ones_like(scales))
        self.register_buffer("codes", (weight / scales[:, None]).round().clamp(-127, 127).to(torch.int8))
        self.register_buffer("scales", scales)
        self._dtype = linear.weight.dtype
        self.bias = linear.bias

    @property
    def weight(self) -> Tensor:
        """Returns the weights `[out in]` in the type they had; made anew every time."""
        return (self.codes.float() * self.scales[:, None]).to(self._dtype)

    def forward(self, hidden: Tensor) -> Tensor:
        """Returns `[.. out]` of `[.. in]`, in the type of the input.

        Raises:
            TrainingError: A gradient is asked for.
        """
        if torch.is_grad_enabled() and hidden.requires_grad:
            raise TrainingError(
                "int8 weights cannot be trained, nor trained through",
                hint="Train first; quantise_int8_ is for answering.",
            )
        rows = hidden.reshape(-1, self.in_features)
        scales = self.scales.to(hidden.dtype)
        if len(rows) <= _PACKED_ROWS and hidden.dtype == torch.bfloat16 and _packs(hidden.device.type):
            product = torch._weight_int8pack_mm(rows.contiguous(), self.codes, scales)
        else:
            product = F.linear(rows, self.codes.to(hidden.dtype)) * scales
        if self.bias is not None:
            product = product + self.bias.to(hidden.dtype)
        return product.view(*hidden.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Returns the sizes, as nn.Linear prints them."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

    def _save_to_state_dict(self, *_: Any) -> None:
        raise WeightsError(
            "int8 weights are not saved", hint="Save the model before quantise_int8_, and quantise it after loading."
        )

    def _load_from_state_dict(self, *_: Any) -> None:
        raise WeightsError(
            "weights cannot be loaded into int8 layers", hint="Load them first, then call quantise_int8_."
        )


@torch.no_grad()
def quantise_int8_(model: VisionLanguageModel | Backbone) -> Quantised:
    """Turns the weights of a backbone's linear layers to int8, in place.

    A head that shares the embedding's weight keeps it. So does every weight that the backbone lists under
    `never_quantise`, by the end of its name.

    Args:
        model: A composed model, of which the backbone is changed, or a backbone.

    Returns:
        What was done.

    Raises:
        WeightsError: A weight is not finite, or has no values (the meta device).
    """
    backbone = model.backbone if isinstance(model, VisionLanguageModel) else model
    before = module_bytes(backbone)
    layers, kept = 0, []
    linears = list(_linears(backbone))
    shared = Counter(id(p) for _, p in backbone.named_parameters(remove_duplicate=False))
    for name, _, _, linear in linears:
        _check_values(name, linear)
    for name, owner, leaf, linear in linears:
        if shared[id(linear.weight)] > 1 or f".{name}.weight".endswith(tuple(f".{k}" for k in backbone.never_quantise)):
            kept.append(name)
            continue
        replacement = Int8Linear(linear)
        replacement.train(linear.training)
        setattr(owner, leaf, replacement)
        layers += 1
    return Quantised(layers, tuple(kept), before, module_bytes(backbone))


def _linears(backbone: Backbone) -> Iterator[tuple[str, nn.Module, str, nn.Linear]]:
    """Yields name, owner, name in the owner, and module of every plain linear layer."""
    for path, owner in list(backbone.named_modules()):
        for leaf, module in list(owner.named_children()):
            if type(module) is nn.Linear:
                yield (f"{path}.{leaf}" if path else leaf), owner, leaf, module


def _check_values(name: str, linear: nn.Linear) -> None:
    if linear.weight.is_meta:
        raise WeightsError(f"{name}.weight has no values yet", hint="Quantise a model that has its weights.")
    if not bool(torch.isfinite(linear.weight).all()):
        raise WeightsError(
            f"{name}.weight holds NaN or infinity", hint="No scale fits such weights; train again with a lower rate."
        )


@cache
def _packs(device_type: str) -> bool:
    """Returns whether torch's int8 product is there on a kind of device and right: it is no public function."""
    codes = (torch.arange(64 * 64, device=device_type) % 255 - 127).to(torch.int8).view(64, 64)
    rows = torch.linspace(-1, 1, 2 * 64, device=device_type).view(2, 64).to(torch.bfloat16)
    scales = torch.full((64,), 2.0**-7, device=device_type, dtype=torch.bfloat16)
    try:
        got = torch._weight_int8pack_mm(rows, codes, scales)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    expected = F.linear(rows.float(), codes.float()) * scales.float()
    return bool(torch.allclose(got.float(), expected, rtol=0.02, atol=0.02 * float(expected.abs().max())))
