"""One optimiser step over one or several micro-batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from cobra_kit.model import Batch, VisionLanguageModel

_NAMED = 3


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """The outcome of a step: mean loss per supervised token, and the gradient's norm before clipping."""

    loss: float
    grad_norm: float


class NotFiniteError(ArithmeticError):
    """The loss or the gradient is infinite or NaN; no weight was changed."""


def accumulate(model: VisionLanguageModel, batches: Sequence[Batch], products: torch.dtype | None = None) -> Tensor:
    """Adds the gradients of several micro-batches and returns their loss, a scalar, as if they were one batch.

    Each is divided by the weight of the supervised tokens of all of them, so neither the number of micro-batches nor
    which rows share one changes the gradient.

    Args:
        model: The model, its stage set.
        batches: The micro-batches of one step.
        products: What matrix products are computed in; None: the weights' own type.
    """
    weight = sum(batch.total_weight for batch in batches)
    device = model.device
    total = torch.zeros((), device=device)
    for batch in batches:
        on_device = batch if device.type == "cpu" else batch.to(device)
        with torch.autocast(device.type, products, enabled=products is not None):
            loss: Tensor = model(on_device, total_weight=weight)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        total += loss.detach()
    return total


def optimiser_step(
    model: VisionLanguageModel,
    batches: Sequence[Batch],
    optimiser: Optimizer,
    max_grad_norm: float | None,
    products: torch.dtype | None = None,
) -> StepOutcome:
    """Makes one step of a vision-language model.

    Args:
        model: The model, its stage set.
        batches: The micro-batches of the step.
        optimiser: The optimiser, with this step's learning rate set.
        max_grad_norm: Longer gradients are scaled down to this; None: never.
        products: What matrix products are computed in; None: the weights' own type.

    Raises:
        NotFiniteError: The loss or the gradient is not finite.
    """
    optimiser.zero_grad(set_to_none=True)
    loss = accumulate(model, batches, products)
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    return update(model, parameters, loss, optimiser, max_grad_norm)


def update(
    module: nn.Module,
    parameters: Sequence[nn.Parameter],
    loss: Tensor,
    optimiser: Optimizer,
    max_grad_norm: float | None,
) -> StepOutcome:
    """Changes the weights by gradients that are there, if they are finite.

    Args:
        module: The module that holds the parameters; it names those that are not finite.
        parameters: The parameters that learn. Not from the module: walking it costs a hundredth of a step.
        loss: The loss of these gradients, a detached scalar.
        optimiser: The optimiser, with this step's learning rate set.
        max_grad_norm: Longer gradients are scaled down to this; None: never.

    Raises:
        NotFiniteError: The loss or the gradient is not finite.
    """
    trained = [parameter for parameter in parameters if parameter.grad is not None]
    norm = get_total_norm([parameter.grad for parameter in trained if parameter.grad is not None])
    outcome = StepOutcome(*torch.stack([loss, norm.to(loss)]).tolist())  # both at once: one wait for the device
    if not (math.isfinite(outcome.loss) and math.isfinite(outcome.grad_norm)):
        raise NotFiniteError(_what_is_not_finite(module, outcome))
    if max_grad_norm is not None:
        clip_grads_with_norm_(trained, max_grad_norm, norm)
    optimiser.step()
    return outcome


def _what_is_not_finite(model: nn.Module, outcome: StepOutcome) -> str:
    if not math.isfinite(outcome.loss):
        return f"the loss is {outcome.loss}"
    broken = [n for n, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    names = ", ".join(broken[:_NAMED]) + (f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else "")
    where = f" (in {names})" if names else ""
    return f"the norm of the gradient is {outcome.grad_norm}{where} at a loss of {outcome.loss:.4g}"
