"""AdamW over what is trained, and its state by parameter name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import AdamW


class OptimisationSettings(Protocol):
    """The settings of optimisation: keys that the sections of recipes have."""

    @property
    def learning_rate(self) -> float:
        """The highest learning rate, which a step takes right after warm-up."""
        ...

    @property
    def weight_decay(self) -> float:
        """The weight decay of the parameters that decay, see `decay_groups`."""
        ...

    @property
    def betas(self) -> tuple[float, float]:
        """AdamW's decay rates of the first and second moment."""
        ...

    @property
    def warmup_ratio(self) -> float:
        """The share of the steps that warm up."""
        ...

    @property
    def final_lr_ratio(self) -> float:
        """The share of the highest learning rate at the last step."""
        ...

    @property
    def max_grad_norm(self) -> float | None:
        """The norm that gradients are clipped to; None: they are not clipped."""
        ...


def decay_groups(model: nn.Module) -> tuple[list[str], list[str]]:
    """Returns (names that decay, names that do not) of the trainable parameters, a tied one once.

    Biases and tensors of at most one dimension do not decay, as in Cobra's training code (PAPER.md section 1.8;
    Mamba's `A_log` has two dimensions and does decay there).
    """
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    spared = [name for name, p in trainable.items() if p.ndim <= 1 or name.endswith("bias")]
    return [name for name in trainable if name not in set(spared)], spared


def make_optimiser(model: nn.Module, settings: OptimisationSettings) -> AdamW:
    """Returns AdamW over the trainable parameters of a model."""
    parameters = dict(model.named_parameters())
    decayed, spared = decay_groups(model)
    groups = [
        {"params": [parameters[name] for name in decayed], "weight_decay": settings.weight_decay},
        {"params": [parameters[name] for name in spared], "weight_decay": 0.0},
    ]
    devices = {p.device.type for p in parameters.values() if p.requires_grad}
    # One kernel per group instead of several per tensor: on small models the difference is a tenth of a step.
    fused = devices <= {"cpu", "cuda"}
    return AdamW(
        [group for group in groups if group["params"]], lr=settings.learning_rate, betas=settings.betas, fused=fused
    )


def optimiser_tensors(model: nn.Module, optimiser: AdamW) -> dict[str, Tensor]:
    """Returns an optimiser's state, `<parameter>/<moment>` -> tensor of the parameter's shape (steps are scalars)."""
    return {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def load_optimiser_tensors(model: nn.Module, optimiser: AdamW, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `optimiser_tensors` returned, bit for bit.

    Args:
        model: The model, its parameters on their device.
        optimiser: A fresh optimiser of the same groups.
        tensors: Tensors by `<parameter>/<moment>`, each of its parameter's shape or a scalar.
    """
    parameters = dict(model.named_parameters())
    fused = bool(optimiser.defaults["fused"])
    for label, value in tensors.items():
        name, _, key = label.rpartition("/")
        parameter = parameters[name]
        state = optimiser.state[parameter]
        # A copy with the layout of the parameter: kernels take other paths, and round otherwise, on other strides.
        like = parameter if key != "step" else torch.zeros((), device=parameter.device if fused else "cpu")
        state[key] = torch.empty_like(like, dtype=value.dtype).copy_(value)
