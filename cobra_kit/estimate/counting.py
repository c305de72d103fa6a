"""The sizes of one model and the cost of one training row of it, counted on the meta device."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from traceback import walk_tb

import torch
from torch import Tensor, nn

from cobra_kit.errors import CobraError, PluginError, first_line
from cobra_kit.estimate.batches import image_group, shape_batch
from cobra_kit.estimate.operations import OperationCounter, SavedTensors, never_run
from cobra_kit.model import VisionLanguageModel, calls, compose
from cobra_kit.model.batch import ImageGroup
from cobra_kit.model.placement import place
from cobra_kit.model.summary import count_parameters
from cobra_kit.recipe import ResolvedRecipe

_MOST_COUNTED = 4096
"""Rows that are laid out to be counted. Equal rows all cost the same, so more of them are multiples of these."""
_AUTOCAST = torch.autocast.__init__.__code__


@dataclass(frozen=True, slots=True)
class RowShape:
    """The shape of one training row.

    Args:
        text_tokens: How many text tokens it has.
        supervised: How many of them carry loss.
        images: How many images it has.
    """

    text_tokens: int
    supervised: int
    images: int = 1


@dataclass(frozen=True, slots=True)
class PartCount:
    """Parameters of one part.

    Args:
        component: Qualified name of the component.
        total: All of its parameters, tied ones once.
        unused: How many no output depends on: blocks and heads behind the features that are taken.
        unused_heads: How many of those belong to no numbered block.
    """

    component: str
    total: int
    unused: int = 0
    unused_heads: int = 0


@dataclass(frozen=True, slots=True)
class ModelCount:
    """The sizes of a composed model.

    Args:
        parts: Sizes of each part, by kind.
        image_tokens: Tokens of one image of the largest size, after the projector.
        encoder_tokens: Tokens of that image before the projector.
        encoder_width: Channels of such a token.
    """

    parts: Mapping[str, PartCount]
    image_tokens: int
    encoder_tokens: int
    encoder_width: int

    @property
    def total(self) -> int:
        """Returns the parameters of all parts."""
        return sum(part.total for part in self.parts.values())

    @property
    def without_unused_heads(self) -> int:
        """Returns the parameters without heads that never run."""
        return self.total - sum(part.unused_heads for part in self.parts.values())

    @property
    def running(self) -> int:
        """Returns the parameters that some output depends on."""
        return self.total - sum(part.unused for part in self.parts.values())

    def trainable(self, trains: Collection[str]) -> int:
        """Returns the parameters of the parts that a stage trains."""
        return sum(part.total for kind, part in self.parts.items() if kind in trains)


@dataclass(frozen=True, slots=True)
class PassCount:
    """The cost of one micro-batch of one stage.

    Args:
        rows: Rows of the micro-batch.
        encoder_flops: Encoding its images, forward.
        forward_flops: Everything else, forward.
        backward_flops: The backward pass, the encoder's too where it is trained.
        activations: Bytes kept for the backward pass.
        activations_checkpointed: The same where blocks keep their inputs only.
        trainable: Parameters that get a gradient.
        frozen: Parameters that get no gradient.
        largest_block: Parameters of the largest repeated unit that is trained.
        outside_blocks: Trained parameters that belong to no repeated unit.
        approximate: Why the figures are an approximation; None where they were counted.
    """

    rows: int
    encoder_flops: float
    forward_flops: float
    backward_flops: float
    activations: int | None
    activations_checkpointed: int | None
    trainable: int
    frozen: int
    largest_block: int
    outside_blocks: int
    approximate: str | None

    @property
    def step_flops(self) -> float:
        """Returns forward and backward of the micro-batch, the encoding of a frozen encoder left out."""
        return self.forward_flops + self.backward_flops


def count_model(resolved: ResolvedRecipe) -> tuple[VisionLanguageModel, ModelCount]:
    """Returns the model on the meta device, and its sizes.

    Raises:
        PluginError: A component cannot be loaded or is not finished.
        ShapeError: Two parts do not fit.
    """
    for part in resolved.parts.values():
        if part.component.spec.unfinished:
            raise PluginError(f"{part.component.qualified} is not finished yet", hint=part.component.spec.unfinished)
    model = compose(resolved, device="meta")
    encoder = model.vision_encoder
    unused = _unused(model, resolved)
    parts: dict[str, PartCount] = {
        kind: PartCount(model.components[kind], count_parameters(module)[0]) for kind, module in model.parts().items()
    }
    sizes = {name: p.numel() for name, p in encoder.named_parameters()}
    parts["vision_encoder"] = replace(
        parts["vision_encoder"],
        unused=sum(sizes[name] for name in unused),
        unused_heads=sum(sizes[name] for name in unused if not _numbered(name)),
    )
    shape = image_group(resolved, 1).shape
    return model, ModelCount(
        parts=parts,
        image_tokens=model.image_tokens().num_tokens,
        encoder_tokens=shape.num_tokens,
        encoder_width=encoder.width,
    )


def count_pass(
    model: VisionLanguageModel,
    resolved: ResolvedRecipe,
    trains: Collection[str],
    row: RowShape,
    *,
    rows: int,
    dtype: torch.dtype,
) -> PassCount:
    """Returns what a micro-batch of a stage costs.

    A part that cannot run on the meta device (a kernel without shapes, a decision on a tensor's value) is
    approximated by two FLOPs per parameter and token forward and twice that backward; its activations are unknown.

    Args:
        model: The model, on the meta device; its dtype and what it trains are changed.
        resolved: The recipe that it was composed from.
        trains: The kinds of part that learn.
        row: The shape of every row.
        rows: Rows per micro-batch.
        dtype: Type of weights and activations while computing; decides the bytes of activations.
    """
    for module in model.parts().values():
        place(module, torch.device("meta"), dtype)
    model.train_only(trains)
    for kind, module in model.parts().items():
        module.train(kind in trains)
    try:
        return _multiplied(_counted(model, resolved, trains, row, min(rows, _MOST_COUNTED)), rows)
    except (CobraError, RuntimeError, NotImplementedError, TypeError, ValueError, AssertionError) as error:
        return _approximated(model, row, rows, _reason(error))


def _multiplied(passed: PassCount, rows: int) -> PassCount:
    """Returns what that many rows cost, from the count of fewer."""
    if passed.rows == rows:
        return passed
    factor = rows / passed.rows
    kept = [
        None if count is None else round(count * factor)
        for count in (passed.activations, passed.activations_checkpointed)
    ]
    return replace(
        passed,
        rows=rows,
        encoder_flops=passed.encoder_flops * factor,
        forward_flops=passed.forward_flops * factor,
        backward_flops=passed.backward_flops * factor,
        activations=kept[0],
        activations_checkpointed=kept[1],
    )


def _reason(error: Exception) -> str:
    """Returns why a part did not run on the meta device, as a text of one line."""
    # A message of ours names the part whose error it carries as its cause.
    reason = error.message if isinstance(error, CobraError) else f"{type(error).__name__}: {first_line(error)}"
    raised = error.__cause__ or error
    # torch says "unsupported scalarType" here, which leads an author nowhere near the line that is to change.
    if any(frame.f_code is _AUTOCAST for frame, _ in walk_tb(raised.__traceback__)):
        reason += " (torch.autocast refuses the meta device; cobra_kit.interfaces.full_precision does not)"
    return reason


def _counted(
    model: VisionLanguageModel, resolved: ResolvedRecipe, trains: Collection[str], row: RowShape, rows: int
) -> PassCount:
    encoder_flops, group = 0, None
    if row.images:
        images = image_group(resolved, rows * row.images)
        with torch.no_grad(), OperationCounter() as encoding:
            tokens = model.encode_images(images)
        encoder_flops = encoding.total
        frozen = "vision_encoder" not in trains
        group = ImageGroup({}, tokens.values, images.shape, images.indices) if frozen else images
    batch = shape_batch(
        model,
        resolved,
        rows=rows,
        text_tokens=row.text_tokens,
        supervised=row.supervised,
        images=row.images,
        group=group,
    )
    blocks = _trained_blocks(model, trains)
    with OperationCounter() as counter:
        with SavedTensors(model, blocks) as saved:
            loss: Tensor = model(batch)
        forward = counter.total
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    model.zero_grad(set_to_none=True)
    if group is not None and group.features is None:
        forward -= encoder_flops
    return PassCount(
        rows=rows,
        encoder_flops=encoder_flops,
        forward_flops=forward,
        backward_flops=counter.total - forward - (encoder_flops if group is not None and group.tensors else 0),
        activations=saved.bytes,
        activations_checkpointed=saved.bytes_checkpointed if blocks else saved.bytes,
        approximate=None,
        **_sizes(model, blocks),
    )


def _approximated(model: VisionLanguageModel, row: RowShape, rows: int, reason: str) -> PassCount:
    model.zero_grad(set_to_none=True)
    parameters = {kind: count_parameters(module) for kind, module in model.parts().items()}
    visual = model.image_tokens().num_tokens * row.images
    tokens = {
        "vision_encoder": visual,
        "projector": visual,
        "fusion": 0,
        "backbone": visual + row.text_tokens,
    }
    forward = {kind: 2.0 * rows * tokens[kind] * total for kind, (total, _) in parameters.items()}
    trained = sum(forward[kind] for kind, (_, trainable) in parameters.items() if trainable)
    blocks = _trained_blocks(model, [kind for kind, (_, trainable) in parameters.items() if trainable])
    encoder = forward.pop("vision_encoder")
    return PassCount(
        rows=rows,
        encoder_flops=encoder,
        forward_flops=sum(forward.values()),
        backward_flops=2 * trained,
        activations=None,
        activations_checkpointed=None,
        approximate=reason,
        **_sizes(model, blocks),
    )


def _trained_blocks(model: VisionLanguageModel, trains: Collection[str]) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for kind, module in model.parts().items():
        if kind in trains:
            blocks += calls.blocks(model, kind, module)
    return blocks


def _sizes(model: VisionLanguageModel, blocks: Sequence[nn.Module]) -> dict[str, int]:
    total, trainable = count_parameters(model)
    within = [count_parameters(block)[1] for block in blocks]
    return {
        "trainable": trainable,
        "frozen": total - trainable,
        "largest_block": max(within, default=0),
        "outside_blocks": trainable - sum(within),
    }


def _unused(model: VisionLanguageModel, resolved: ResolvedRecipe) -> list[str]:
    """Returns the encoder's parameters that never run; none where it cannot run on the meta device."""
    try:
        images = image_group(resolved, 1)
        shapes = (images.shape,)
        return never_run(model.vision_encoder, lambda: calls.encode(model, images.tensors, shapes).values)
    except (CobraError, RuntimeError, NotImplementedError, TypeError, ValueError):
        return []


def _numbered(name: str) -> bool:
    return any(part.isdigit() for part in name.split("."))
