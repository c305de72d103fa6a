"""Checks that a model's decode step may be one call of C (`fused_step.py`), and the parameters of that call.

A wrapped, quantised or hooked module must be called, so such a model steps block by block. Walking through all modules
takes a fifth of a token's time: a plan remembers what was found and where, and looks whether it stands there still.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from cobra_kit_mamba.block import MambaBlock, RMSNorm
from cobra_kit_mamba.called import HOOKS_OF_ALL, hooks_of
from cobra_kit_mamba.mixer import MambaMixer
from cobra_kit_mamba.native_calls import MAX_STATE, TAPS
from cobra_kit_mamba.native_decode import PARAMETERS

MODULES: Mapping[str, type[nn.Module]] = {
    "norm": RMSNorm,
    "mixer": MambaMixer,
    "mixer.in_proj": nn.Linear,
    "mixer.conv1d": nn.Conv1d,
    "mixer.x_proj": nn.Linear,
    "mixer.dt_proj": nn.Linear,
    "mixer.out_proj": nn.Linear,
}
"""The modules of a block that the operator stands for; any other class must be called."""

ABSENT = ("mixer.in_proj.bias", "mixer.x_proj.bias", "mixer.out_proj.bias")
"""Parameters of a block that the operator does not know."""


@dataclass(slots=True)
class StepPlan:
    """A model's parameters as `fused_step.decode_step` takes them, and where they were found.

    Args:
        parameters: Tensors in the order that the operator takes.
        objects: The modules, parameters and settings that were found.
        places: Where each of them was found.
        hooks: The modules' hooks.
        eps: Epsilon of the norms.
        obstacle: Why the operator cannot take the model, or None.
        states: The names of the decode state's tensors.
        memory: Address and number of elements of each parameter.
    """

    parameters: list[Tensor] = field(default_factory=list)
    objects: list[Any] = field(default_factory=list)
    places: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)
    hooks: list[Mapping[int, Any]] = field(default_factory=list)
    eps: float = 0.0
    obstacle: str | None = None
    states: list[str] = field(default_factory=list)
    memory: list[tuple[int, int]] = field(default_factory=list)

    def holds(self) -> bool:
        """Returns whether the operator can take the model and nothing was replaced, moved, converted or hooked."""
        tensors = self.parameters
        return (
            self.obstacle is None
            and not any(self.hooks)
            and all(map(operator.is_, [place.get(name) for place, name in self.places], self.objects))
            and [(tensor.data_ptr(), tensor.numel()) for tensor in tensors] == self.memory
            and all([tensor.dtype is torch.float32 and tensor.is_contiguous() for tensor in tensors])
        )

    def note(self, place: Mapping[str, Any], name: str, value: Any) -> None:
        """Remembers what was found at a place."""
        self.places.append((place, name))
        self.objects.append(value)

    def fits(self, embeddings: Tensor, tensors: Sequence[Tensor], lengths: Tensor) -> bool:
        """Returns whether the operator can take the embeddings `[b d]` and the state: dense, of the right sizes."""
        rows, width = embeddings.shape
        inner, d_state = self.parameters[PARAMETERS.index("mixer.A_log")].shape
        conv, ssm = (rows, inner, TAPS), (rows, inner, d_state)
        return (
            embeddings.dtype is torch.float32
            and width == self.parameters[0].shape[0]
            and lengths.dtype is torch.int32
            and lengths.is_cpu
            and lengths.is_contiguous()
            and lengths.shape == (rows,)
            and all([tensor.shape == conv for tensor in tensors[::2]])
            and all([tensor.shape == ssm for tensor in tensors[1::2]])
            and all([t.dtype is torch.float32 and t.is_cpu and t.is_contiguous() for t in tensors])
        )


def find_plan(layers: nn.Module) -> StepPlan:
    """Walks through a model and returns what its decode step needs, or the first obstacle."""
    plan = StepPlan()
    try:
        if any(HOOKS_OF_ALL):
            raise _Obstacle("all modules have hooks")
        if any(hooks_of(layers)):
            raise _Obstacle("what holds the layers has hooks")
        plan.hooks += (*HOOKS_OF_ALL, *hooks_of(layers))
        modules = {"": layers}
        _find_modules(plan, modules, "", {"layers": nn.ModuleList, "norm_f": RMSNorm})
        for name in modules["layers"]._modules:
            plan.states += (f"conv.{name}", f"ssm.{name}")
            _find_modules(plan, modules, "layers.", {name: MambaBlock})
            _find_modules(plan, modules, f"layers.{name}.", MODULES)
            _find_parameters(plan, modules, f"layers.{name}.", PARAMETERS)
        _find_parameters(plan, modules, "norm_f.", ("weight",))
        _check_sizes(plan)
    except _Obstacle as obstacle:
        plan.obstacle = str(obstacle)
    return plan


class _Obstacle(Exception):
    """Something in a model that the operator cannot take."""


def _find_modules(
    plan: StepPlan, modules: dict[str, nn.Module], prefix: str, wanted: Mapping[str, type[nn.Module]]
) -> None:
    for name, kind in wanted.items():
        path = prefix + name
        parent, _, child = path.rpartition(".")
        place = modules[parent]._modules
        module = place.get(child)
        if module is None or type(module) is not kind:
            raise _Obstacle(f"{path} is of the class {type(module).__name__}, not {kind.__name__}")
        if any(hooks_of(module)):
            raise _Obstacle(f"{path} has hooks")
        if "forward" in module.__dict__:
            raise _Obstacle(f"the forward of {path} was replaced")
        if isinstance(module, RMSNorm):
            plan.eps = plan.eps or module.eps
            if module.eps != plan.eps:
                raise _Obstacle(f"{path} has another eps than the norms before it")
            plan.note(module.__dict__, "eps", module.eps)
        modules[path] = module
        plan.note(place, child, module)
        plan.hooks += hooks_of(module)


def _find_parameters(plan: StepPlan, modules: Mapping[str, nn.Module], prefix: str, wanted: Sequence[str]) -> None:
    for path in (prefix + name for name in wanted):
        parent, _, name = path.rpartition(".")
        place = modules[parent]._parameters
        tensor = place.get(name)
        if tensor is None:
            raise _Obstacle(f"{path} is missing")
        if type(tensor) not in (nn.Parameter, Tensor):
            raise _Obstacle(f"{path} is of the class {type(tensor).__name__}")
        if tensor.dtype is not torch.float32:
            raise _Obstacle(f"{path} is {str(tensor.dtype).removeprefix('torch.')}, not float32")
        if not tensor.is_cpu or not tensor.is_contiguous():
            raise _Obstacle(f"{path} does not lie in the processor's memory without gaps")
        plan.note(place, name, tensor)
        plan.parameters.append(tensor)
        plan.memory.append((tensor.data_ptr(), tensor.numel()))
    for path in (prefix + name for name in ABSENT if prefix != "norm_f."):
        parent, _, name = path.rpartition(".")
        place = modules[parent]._parameters
        if place.get(name) is not None:
            raise _Obstacle(f"{path} is there")
        plan.note(place, name, None)


def _check_sizes(plan: StepPlan) -> None:
    """Raises where the sizes do not belong together or are none that the kernel takes."""
    if len(plan.parameters) <= len(PARAMETERS):
        raise _Obstacle("the model has no blocks")
    named = dict(zip(PARAMETERS, (tensor.shape for tensor in plan.parameters), strict=False))
    (width,), (inner, d_state), rank = named["norm.weight"], named["mixer.A_log"], named["mixer.dt_proj.weight"][1]
    if d_state > MAX_STATE:
        raise _Obstacle(f"d_state {d_state} is over {MAX_STATE}")
    block = [(width,), (2 * inner, width), (inner, 1, TAPS), (inner,), (rank + 2 * d_state, inner)]
    block += [(inner, rank), (inner,), (inner, d_state), (inner,), (width, inner)]
    for i, tensor in enumerate(plan.parameters):
        name, expected = PARAMETERS[i % len(PARAMETERS)], block[i % len(PARAMETERS)]
        if tuple(tensor.shape) != expected:
            raise _Obstacle(f"{name} is {list(tensor.shape)}, not {list(expected)}")
