"""The signature of a composed model, so that saving notices what was changed by hand since.

A saved model is a recipe and weights; loading composes the recipe again. A part that was replaced would come back as
the recipe's own: with an error where names or shapes differ, and with another computation where they do not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

from cobra_kit.errors import WeightsError
from cobra_kit.weights.wrappers import plain_name

_SHOWN = 4
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Signature:
    """Shapes and classes of a model.

    Args:
        shapes: The shape of each tensor of its state.
        classes: The class of each submodule, `module:name`.
    """

    shapes: dict[str, tuple[int, ...]]
    classes: dict[str, str]

    def is_still(self, name: str, kind: type) -> bool:
        """Returns whether a submodule of this name was of this class, or of one that torch made `kind` of (FSDP)."""
        expected = self.classes.get(name)
        return expected is not None and _is(kind, expected)


def signature_of(model: nn.Module) -> Signature:
    """Returns what a model is made of now."""
    shapes = {name: tuple(tensor.shape) for name, tensor in _tensors(model)}
    return Signature(shapes, {name: _name(type(module)) for name, module in model.named_modules()})


def composed_tensors(model: nn.Module, composed: Signature, kinds: Collection[str] | None = None) -> dict[str, Tensor]:
    """Returns the tensors, of any shape, of a model that is still made of what it was composed of.

    Args:
        model: The model; what torch.compile, FSDP and activation checkpointing wrap is seen through.
        composed: Its signature when it was composed.
        kinds: The parts whose tensors are wanted; None: all.

    Raises:
        WeightsError: Something was replaced, added or removed; the message names it.
    """
    if kinds is not None:
        composed = Signature(_of(kinds, composed.shapes), _of(kinds, composed.classes))
    tensors = {plain_name(name): tensor for name, tensor in _tensors(model)}
    tensors = tensors if kinds is None else _of(kinds, tensors)
    # A wrapper and what it wraps have one plain name; the wrapped one comes later, and counts.
    modules = {plain_name(name): type(module) for name, module in model.named_modules()}
    modules = modules if kinds is None else _of(kinds, modules)
    problems = [*_changed_classes(modules, composed), *_changed_shapes(tensors, composed)]
    if problems:
        more = f"\nand {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise WeightsError(
            "the model is no longer what its recipe says, so what would be saved could not be loaded",
            hint="\n".join(problems[:_SHOWN])
            + more
            + "\nCompose a recipe with the changed part, or undo the change first (LoRA: merge_and_unload(); "
            "parametrizations: remove_parametrizations). torch.save(model.state_dict(), FILE) keeps the bare tensors.",
        )
    return {name: tensors[name] for name in composed.shapes}


def _of(kinds: Collection[str], values: Mapping[str, _T]) -> dict[str, _T]:
    return {name: value for name, value in values.items() if name.partition(".")[0] in kinds}


def _changed_classes(now: Mapping[str, type], composed: Signature) -> Iterator[str]:
    changed: list[str] = []
    for name, kind in now.items():
        if not name or _under(name, changed) or composed.is_still(name, kind):
            continue
        expected = composed.classes.get(name)
        changed.append(name)
        own = kind.__name__
        if expected and expected.endswith(f":{own}"):
            own = f"{own} of {kind.__module__}"
        what = f"is {own}, not {expected.rpartition(':')[2]}" if expected else f"was added ({own})"
        yield f"{name} {what}"
    yield from (f"{name} was removed" for name in composed.classes if name not in now and not _under(name, changed))


def _under(name: str, outer: list[str]) -> bool:
    return name.startswith(tuple(f"{path}." for path in outer))


def _changed_shapes(tensors: dict[str, Tensor], composed: Signature) -> Iterator[str]:
    for name, shape in composed.shapes.items():
        if name not in tensors:
            yield f"{name} is missing"
        elif tuple(tensors[name].shape) != shape:
            yield f"{name} is {list(tensors[name].shape)}, not {list(shape)}"
    yield from (f"{name} was added" for name in tensors if name not in composed.shapes)


def _is(kind: type, expected: str) -> bool:
    """Returns whether a class is the expected one, or one that torch made of it (FSDP)."""
    return _name(kind) == expected or (
        kind.__module__.startswith("torch.") and any(_name(base) == expected for base in kind.__mro__)
    )


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return ((name, value.detach()) for name, value in model.state_dict().items() if isinstance(value, Tensor))
