"""The parts of a resolved recipe: classes from plugins, dimensions from part to part, weights from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import Module

from cobra_kit._plugins import attributed, call_component, contained, place_of
from cobra_kit.errors import PluginError, ShapeError, kind_of
from cobra_kit.interfaces import Backbone, EncoderSizes, Projector, TokenShape, VisionEncoder
from cobra_kit.model.filling import fill
from cobra_kit.model.placement import peak_bytes, place
from cobra_kit.model.processor import Processor, make_processor
from cobra_kit.model.returned import expect
from cobra_kit.model.seeding import derive_seed, part_generator
from cobra_kit.model.shapes import shapes_only
from cobra_kit.recipe import DerivedSizes
from cobra_kit.weights import check_memory

if TYPE_CHECKING:
    from cobra_kit._plugins import Component as RegisteredComponent
    from cobra_kit.interfaces import Component, TextCodec
    from cobra_kit.plugin import Kind
    from cobra_kit.recipe import ResolvedPart, ResolvedRecipe

_SIZES: dict[Kind, tuple[str, ...]] = {"vision_encoder": ("width",), "backbone": ("hidden_size", "vocab_size")}
"""The attributes of a part that size its neighbours."""


def build_parts(resolved: ResolvedRecipe) -> dict[Kind, Component]:
    """Returns the four parts on the meta device, by kind, in the order data flows.

    Raises:
        PluginError: A component cannot be loaded, or its class is wrong.
        ShapeError: Two parts do not fit.
    """
    parts = resolved.parts
    # The ends first: the parts between them are sized by both.
    backbone = cast("Backbone", _shapes(parts["backbone"]))
    encoder = cast("VisionEncoder", _shapes(parts["vision_encoder"]))
    max_shape, _ = _token_shapes(parts)
    return {
        "vision_encoder": encoder,
        "projector": _projector(parts, encoder.width, max_shape, backbone.hidden_size),
        "fusion": _shapes(parts["fusion"], hidden_size=backbone.hidden_size),
        "backbone": backbone,
    }


def build_sizes(resolved: ResolvedRecipe) -> DerivedSizes:
    """Returns what the parts come to together; finds what `build_parts` finds.

    An encoder that knows its sizes is not built: its library may take longer to import than all else here.

    Raises:
        NotFinishedError: A component cannot be built in this version.
        PluginError: A component cannot be loaded, or its class is wrong.
        ShapeError: Two parts do not fit.
    """
    parts = resolved.parts
    backbone = cast("Backbone", _shapes(parts["backbone"]))
    encoder = _encoder_sizes(parts["vision_encoder"])
    before, after = _token_shapes(parts)
    built = (
        backbone,
        _projector(parts, encoder.width, before, backbone.hidden_size),
        _shapes(parts["fusion"], hidden_size=backbone.hidden_size),
    )
    return DerivedSizes(
        visual_width=encoder.width,
        encoder_tokens=before.num_tokens,
        image_tokens=after.num_tokens,
        hidden_size=backbone.hidden_size,
        parameters=encoder.parameters + sum(map(_count, built)),
    )


def sizes_follow_config(resolved: ResolvedRecipe) -> bool:
    """Returns whether what every part builds follows from its config and code alone."""
    return all(
        call_component(part.component, part.component.load_class().sizes_follow_config, part.config)
        for part in resolved.parts.values()
    )


def allocate_parts(
    modules: Mapping[Kind, Component],
    resolved: ResolvedRecipe,
    device: torch.device,
    dtypes: Mapping[Kind, torch.dtype | None],
    *,
    seed: int | None = None,
    pretrained: bool,
) -> None:
    """Gives parts on the meta device their weights, in place.

    Args:
        modules: The parts, by kind.
        resolved: The recipe they were built for.
        device: The device that the weights are put on.
        dtypes: Per kind, the floating-point type of the weights; None: as they are drawn.
        seed: Seed of random weights; None: the recipe's.
        pretrained: Whether to load the weights that components name.

    Raises:
        WeightsError: Weights cannot be loaded, or there is not enough memory for them.
    """
    parts = resolved.parts
    chosen = resolved.recipe.seed if seed is None else seed
    needed = peak_bytes(list(modules.values()), device, [dtypes[kind] for kind in modules])
    check_memory(needed, where=", ".join(part.component.qualified for part in parts.values()))
    for kind, module in modules.items():
        # On the CPU whatever the device: its generator gives the same weights on every machine.
        fill(module, parts[kind].component, part_generator(chosen, kind, module), pretrained=pretrained)
        with attributed((parts[kind].component,)):
            place(module, device, dtypes[kind])


def processor_of(resolved: ResolvedRecipe, codec: TextCodec | None = None) -> Processor:
    """Returns the processor of a resolved recipe, without building any module.

    Args:
        resolved: The recipe with its components resolved.
        codec: Tokenizer and template; None: the backbone's own.
    """
    parts = resolved.parts
    kinds: tuple[Kind, ...] = ("vision_encoder", "projector", "fusion", "backbone")
    classes = tuple(parts[kind].component.load_class() for kind in kinds)
    configs = tuple(parts[kind].config for kind in kinds)
    return make_processor(
        cast("Any", classes), cast("Any", configs), codec, components={kind: parts[kind].component for kind in kinds}
    )


def _shapes(part: ResolvedPart, **dimensions: Any) -> Component:
    """Builds a part on the meta device; an error inside a plugin names the plugin."""
    cls = part.component.load_class()
    with attributed((part.component,)), contained(derive_seed(0, part.component.kind)):
        with shapes_only():
            module = call_component(part.component, cls, part.config, **dimensions)
        checked = _checked(module, cls, part.component)
        call_component(part.component, partial(_members, checked))
        return checked


def _checked(module: object, cls: type[Component], component: RegisteredComponent) -> Component:
    """Returns what a component's class made, which has the sizes that its neighbours need."""
    if not isinstance(module, cls):
        raise PluginError(
            f"{component.title}: calling {cls.__qualname__} gave {kind_of(module)}, expected one of that class",
            where=place_of(cls),
            hint="Its __new__, or its metaclass, returns something else; its author can mend it.",
        )
    for name in _SIZES.get(component.kind, ()):
        size = getattr(module, name, None)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise PluginError(
                f"{component.title}: {cls.__qualname__}.{name} is {kind_of(size)}, expected 1 or more",
                where=place_of(cls),
                hint=f"Set self.{name} in __init__; its author can mend it.",
            )
    return module


def _members(module: Component) -> None:
    """Looks at what torch keeps of a module, where a class may have methods of its own that give something else."""
    for members, wanted in (
        (module.named_modules(), Module),
        (module.named_parameters(), Tensor),
        (module.named_buffers(), Tensor),
        (((str(name), value) for name, value in enumerate(module.parameters())), Tensor),
    ):
        for name, value in members:
            if not isinstance(name, str) or not isinstance(value, wanted):
                raise TypeError(
                    f"{name!r} of {type(module).__qualname__} is {kind_of(value)}, expected a {wanted.__name__}"
                )


def _encoder_sizes(part: ResolvedPart) -> EncoderSizes:
    method = cast("type[VisionEncoder]", part.component.load_class()).known_sizes
    known = call_component(part.component, method, part.config)
    if known is not None:
        return expect(known, EncoderSizes, method, part.component.title)
    module = cast("VisionEncoder", _shapes(part))
    return EncoderSizes(module.width, _count(module))


def _count(module: Component) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _token_shapes(parts: Mapping[Kind, ResolvedPart]) -> tuple[TokenShape, TokenShape]:
    """Returns the tokens of the largest image before the projector and after it."""
    encoder, projector = parts["vision_encoder"], parts["projector"]
    method = cast("type[VisionEncoder]", encoder.component.load_class()).max_shape
    max_shape = expect(
        call_component(encoder.component, method, encoder.config), TokenShape, method, encoder.component.title
    )
    announce = cast("type[Projector]", projector.component.load_class()).output_shape
    try:
        announced = call_component(projector.component, announce, projector.config, max_shape)
    except ShapeError as error:
        raise ShapeError(
            f"{projector.component.qualified} does not fit {encoder.component.qualified}: {error.message}",
            where=error.where,
            hint=error.hint,
        ) from error
    return max_shape, expect(announced, TokenShape, announce, projector.component.title)


def _projector(parts: Mapping[Kind, ResolvedPart], in_width: int, max_shape: TokenShape, out_width: int) -> Component:
    return _shapes(parts["projector"], in_width=in_width, max_shape=max_shape, out_width=out_width)
