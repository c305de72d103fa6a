"""Gives a part's tensors memory and values, and checks that every one has got some.

Fresh memory holds whatever was there before: often zeros, so that a forgotten parameter goes unnoticed until the day
it does not. Here it holds NaN until `reset_parameters` has been there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cobra_kit._plugins import attributed, call_component, contained, place_of
from cobra_kit.errors import PluginError
from cobra_kit.formatting import plural

if TYPE_CHECKING:
    from cobra_kit._plugins import Component as RegisteredComponent
    from cobra_kit.interfaces import Component

_MOST_NAMED = 4


def fill(
    module: Component,
    component: RegisteredComponent,
    generator: torch.Generator | None,
    *,
    pretrained: bool = False,
    device: torch.device | str = "cpu",
) -> None:
    """Gives a part on the meta device its weights, in place.

    Args:
        module: The part to fill.
        component: The component that it is, for errors.
        generator: The source of its random weights; None: torch's own.
        pretrained: Whether to load the weights that it names.
        device: The device that the weights are put on. The contract promises the CPU only.

    Raises:
        PluginError: Its code raises, or leaves a parameter or a buffer without values.
    """
    seed = 0 if generator is None else generator.initial_seed()
    with attributed((component,)), contained(seed):
        module.to_empty(device=device)
        _check_allocated(module, component)
        _spoil(module)
        call_component(component, module.reset_parameters, generator)
        _check_filled(module, component)
        if pretrained:
            call_component(component, module.load_pretrained)


def _spoil(module: nn.Module) -> None:
    for _, tensor in _tensors(module):
        try:
            tensor.fill_(_mark(tensor))
        except (RuntimeError, NotImplementedError, TypeError):  # a type that torch cannot fill
            tensor.view(torch.uint8).zero_()


def _check_allocated(module: Component, component: RegisteredComponent) -> None:
    names = [name for name, tensor in _tensors(module) if tensor.is_meta]
    if names:
        raise _left_out(module, component, names, "has no memory", "to_empty must give every tensor memory.")
    plain = [
        f"{path}.{name}".lstrip(".")
        for path, child in module.named_modules()
        for name, value in vars(child).items()
        if isinstance(value, Tensor) and value.is_meta
    ]
    if plain:
        raise _left_out(
            module, component, plain, "has no memory", "It is a plain attribute: make it a parameter or a buffer."
        )


def _check_filled(module: Component, component: RegisteredComponent) -> None:
    names = [name for name, tensor in _tensors(module) if _is_spoilt(tensor)]
    if names:
        raise _left_out(
            module,
            component,
            names,
            "has no value after reset_parameters, or NaN",
            "Fill every parameter and every buffer there, non-persistent ones too (docs/plugins.md).",
        )


def _left_out(
    module: Component, component: RegisteredComponent, names: list[str], problem: str, hint: str
) -> PluginError:
    shown = ", ".join(names[:_MOST_NAMED])
    more = f" and {plural(len(names) - _MOST_NAMED, 'other')}" if len(names) > _MOST_NAMED else ""
    reset = type(module).reset_parameters
    return PluginError(
        f"{component.title}: {shown}{more} of {type(module).__qualname__} {problem}",
        where=place_of(reset),
        hint=hint,
    )


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yields parameters and buffers, detached."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        yield name, tensor.detach()


def _mark(tensor: Tensor) -> float | int:
    """Returns what stands for no value: NaN, or an integer that nobody means; 0 where every value may be meant."""
    if tensor.is_floating_point() or tensor.is_complex():
        return float("nan")
    if tensor.dtype == torch.bool or tensor.element_size() == 1:
        return 0
    limits = torch.iinfo(tensor.dtype)
    return limits.min + 0x5A if limits.min else limits.max - 0x5A


def _is_spoilt(tensor: Tensor) -> bool:
    if not tensor.numel():
        return False
    try:
        if not (tensor.is_floating_point() or tensor.is_complex()):
            mark = _mark(tensor)
            return bool(mark and (tensor == mark).any())
        # The sum reads every value once and needs no memory; it is NaN for infinities of both signs, too.
        return bool(torch.isnan(tensor.sum())) and bool(torch.isnan(tensor).any())
    except (RuntimeError, NotImplementedError, TypeError):  # a type that torch does not compute in
        return bool(torch.isnan(tensor.float()).any()) if tensor.is_floating_point() else False
