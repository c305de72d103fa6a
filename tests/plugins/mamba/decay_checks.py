"""Decays over all of float32's range against a recurrence in float64, which owes the package's own code nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mamba_checks import NAMES
from torch import Tensor

from cobra_kit_mamba.scan import selective_scan

LOWEST = torch.finfo(torch.float32).min


def recurrence(x: dict[str, Tensor], starts: Tensor) -> tuple[Tensor, Tensor]:
    """Returns outputs and last state, written out token by token from the equations."""
    dt = F.softplus(x["dt"] + x["dt_bias"])
    state, outputs = x["initial_state"], []
    for t in range(dt.shape[1]):
        state = torch.where(starts[:, t, None, None], 0.0, state)
        state = (dt[:, t, :, None] * x["A"]).exp() * state + (dt * x["u"])[:, t, :, None] * x["B"][:, t, None]
        outputs.append((state * x["C"][:, t, None]).sum(-1))
    y = torch.stack(outputs, 1) + x["D"] * x["u"]
    return y * x["z"] * torch.sigmoid(x["z"]), state


def decay_inputs(seed: int, low: float, high: float, b: int, s: int, d: int, n: int) -> dict[str, Tensor]:
    """Returns inputs with decay rates between e^low and e^high, and time steps that match any of them."""
    g = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g)

    def uniform(*shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=g)

    wide, narrow = (b, s, d), (b, s, n)
    matching = torch.where(torch.rand(wide, generator=g) < 0.5, random(*wide), -uniform(*wide))
    return {
        "u": random(*wide), "dt": matching.clamp(min=-100.0, max=60.0), "A": -uniform(d, n).exp().clamp(max=-LOWEST),
        "B": random(*narrow), "C": random(*narrow), "D": random(d), "z": random(*wide), "dt_bias": torch.zeros(d),
        "initial_state": random(b, d, n),
    }  # fmt: skip


def check_decays(
    low: float,
    high: float,
    seed: int,
    *,
    shape: tuple[int, int, int, int] = (2, 19, 21, 5),
    device: torch.device | str = "cpu",
) -> None:
    """Compares outputs, last state and every gradient of `selective_scan` with the recurrence in float64.

    Args:
        low: The logarithm of the slowest decay rate.
        high: Of the fastest.
        seed: Of what is drawn.
        shape: `(b, s, d, n)`.
        device: Where `selective_scan` computes.
    """
    (b, s, d, n), g = shape, torch.Generator().manual_seed(seed + 1)
    given = decay_inputs(seed, low, high, *shape)
    starts = torch.rand(b, s, generator=g) < 0.1
    weights = [torch.randn(b, s, d, generator=g), torch.randn(b, d, n, generator=g)]

    def results(scan: Callable[[dict[str, Tensor]], tuple[Tensor, Tensor]], to: dict[str, Any]) -> dict[str, Tensor]:
        leaves = {name: tensor.to(**to).requires_grad_() for name, tensor in given.items()}
        outputs = scan(leaves)
        grads = torch.autograd.grad(outputs, list(leaves.values()), [weight.to(**to) for weight in weights])
        return {"y": outputs[0], "state": outputs[1], **dict(zip(leaves, grads, strict=True))}

    def ours(x: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        plain, initial = [x[name] for name in NAMES[:8]], x["initial_state"]
        return selective_scan(*plain, initial_state=initial, starts=starts.to(device), return_state=True)

    exact = results(lambda x: recurrence(x, starts), {"dtype": torch.float64})
    for name, value in results(ours, {"device": device}).items():
        assert value.isfinite().all(), name
        size = exact[name].abs().max().clamp(min=1.0)
        assert (value.cpu().double() - exact[name]).abs().max() <= 1e-4 * size, name
