"""The four parts as one module: batches to hidden states, logits and the loss."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cobra_kit.arguments import instance, settings_of
from cobra_kit.errors import ArgumentError, ShapeError, kind_of
from cobra_kit.interfaces import (
    Backbone,
    DecodeState,
    FusedSequence,
    FusionScheme,
    Projector,
    VisionEncoder,
    VisualTokens,
)
from cobra_kit.model import calls
from cobra_kit.model.batch import Batch, ImageGroup
from cobra_kit.model.loss import summed_loss
from cobra_kit.model.signature import signature_of

if TYPE_CHECKING:
    from cobra_kit._plugins import Component
    from cobra_kit.model.processor import Processor
    from cobra_kit.plugin import Kind
    from cobra_kit.recipe import ResolvedRecipe


@dataclass(frozen=True, slots=True)
class Composition:
    """The origin of a model's parts.

    Args:
        processor: Makes what turns rows into batches; called when first needed, so that shapes need no tokenizer.
        components: Per kind the qualified name, such as `mamba/tiny`.
        recipe: What the model was composed from; needed to save it.
    """

    processor: Callable[[], Processor]
    components: Mapping[str, str]
    recipe: ResolvedRecipe | None = None


class MultimodalModule(nn.Module):
    """Vision encoder, projector, fusion scheme and backbone as one module; calling it with a `Batch` returns the loss.

    Args:
        vision_encoder: Images to visual tokens.
        projector: Visual tokens to the backbone's width.
        fusion: Text and visual tokens to one sequence.
        backbone: The language model.
        composition: Where they are from; None: as `options` say.
        options: The fields of `Composition`, instead of one.

    Attributes:
        composed: What the model was made of when it was composed; what is saved must still be that.
    """

    def __init__(
        self,
        vision_encoder: VisionEncoder,
        projector: Projector,
        fusion: FusionScheme,
        backbone: Backbone,
        composition: Composition | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        composition = settings_of(Composition, composition, options)
        self.vision_encoder = vision_encoder
        self.projector = projector
        self.fusion = fusion
        self.backbone = backbone
        self._make_processor = composition.processor
        self.components = dict(composition.components)
        self.recipe = composition.recipe
        self.composed = signature_of(self)
        self.train_only({"projector", "fusion", "backbone"})

    def forward(self, batch: Batch, *, total_weight: float | None = None) -> Tensor:
        """Returns the weighted mean negative log-likelihood of the supervised tokens, a float32 scalar.

        Args:
            batch: A collated batch on the model's device.
            total_weight: What to divide by, where the batch is one of several that share a step (gradient
                accumulation, ranks): the sum of their `total_weight`. None: this batch's own.
        """
        instance(batch, Batch, "batch", hint="processor.collate makes one of rows; generate answers questions.")
        if not batch.num_rows:  # parts need not take batches of nothing
            return torch.zeros((), device=self.device, requires_grad=torch.is_grad_enabled())
        return self.loss(batch, self.hidden_states(batch), total_weight=total_weight)

    def loss(self, batch: Batch, hidden: Tensor, *, total_weight: float | None = None) -> Tensor:
        """Returns the loss of hidden states `[b s d]`; the rest as for `forward`."""
        # Logits of supervised tokens only: over the whole vocabulary they are the largest tensor of a step.
        predicting = hidden.flatten(0, 1)[batch.target_positions]
        total = summed_loss(predicting, batch.targets, batch.target_weights, partial(calls.logits, self, whole=True))
        weight = batch.total_weight if total_weight is None else total_weight
        return total / weight if weight else total

    def hidden_states(self, batch: Batch, state: DecodeState | None = None) -> Tensor:
        """Returns the backbone's normed hidden states `[b s d]` of text and visual tokens, laid out.

        Args:
            batch: A collated batch on the model's device.
            state: A decode state that is continued in place; None: whole rows.
        """
        return self.read(self.fuse(batch), state)

    def read(self, sequence: FusedSequence, state: DecodeState | None = None) -> Tensor:
        """Returns the backbone's normed hidden states `[b s d]` of rows that are laid out."""
        return calls.hidden_states(self, sequence, state)

    def logits(self, hidden: Tensor) -> Tensor:
        """Returns the backbone's logits `[.. vocab_size]` of hidden states `[.. d]`."""
        return calls.logits(self, hidden)

    def fuse(self, batch: Batch) -> FusedSequence:
        """Returns the embeddings `[b s hidden_size]` of text and visual tokens, laid out.

        Raises:
            ShapeError: A part returned other sizes than the batch was laid out for.
        """
        text = calls.embed(self, batch.text_ids)
        visual = self.embed_images(batch.images, like=text)
        own = calls.extra_embeddings(self)
        if batch.num_extra > (owned := 0 if own is None else own.shape[0]):
            raise ShapeError(
                f"the layout points at {batch.num_extra} embeddings of the fusion scheme's own, but "
                f"{type(self.fusion).__name__} has {owned}",
                hint="Compose a recipe with this fusion scheme instead of replacing it in the model.",
            )
        return calls.fuse(self, text, visual, batch.layout)

    def embed_images(self, groups: Sequence[ImageGroup], *, like: Tensor) -> Tensor:
        """Returns the projected tokens of all images, in order, `[v hidden_size]`, in the dtype of `like`.

        Raises:
            ShapeError: Encoder or projector returned other sizes than the images were laid out for.
        """
        if not groups:
            return like.new_empty(0, like.shape[-1])
        projected = [calls.project(self, self.encode_images(group), group.projected) for group in groups]
        # The usual case needs neither a loop over images nor a second copy of their tokens.
        if len(groups) == 1 and groups[0].rows is None and groups[0].indices == tuple(range(groups[0].count)):
            return _real_tokens(projected[0]).to(like.dtype)
        in_order: dict[int, Tensor] = {}
        for group, tokens in zip(groups, projected, strict=True):
            for index, row in zip(group.indices, range(group.count) if group.rows is None else group.rows, strict=True):
                in_order[index] = tokens.values[row, : tokens.shapes[row].num_tokens]
        return torch.cat([in_order[index] for index in sorted(in_order)]).to(like.dtype)

    def encode_images(self, group: ImageGroup) -> VisualTokens:
        """Returns the encoder's tokens `[k n d]` of images of one size; a frozen encoder records no graph.

        Raises:
            ShapeError: The encoder returned other sizes than the images' preparation announced.
        """
        shapes = (group.shape,) * group.count
        dtype = _dtype(self.projector)
        if group.features is not None:
            return VisualTokens(group.features.to(dtype or group.features.dtype), shapes)
        trainable = any(p.requires_grad for p in self.vision_encoder.parameters())
        encoder_dtype = _dtype(self.vision_encoder)
        tensors = {name: t.to(encoder_dtype or t.dtype) for name, t in group.tensors.items()}
        with nullcontext() if trainable else torch.no_grad():
            tokens = calls.encode(self, tensors, shapes)
        return VisualTokens(tokens.values.to(dtype or tokens.values.dtype), tokens.shapes)

    def train_only(self, kinds: Collection[str]) -> None:
        """Freezes every part but `kinds` (`vision_encoder`, `projector`, `fusion`, `backbone`)."""
        if isinstance(kinds, str | bytes) or not isinstance(kinds, Collection):
            raise ArgumentError(f"expected names of parts, not {kind_of(kinds)}", hint='Such as {"projector"}.')
        unknown = [kind for kind in kinds if not isinstance(kind, str) or kind not in self.parts()]
        if unknown:
            wrong = ", ".join(map(str, unknown))
            raise ArgumentError(f"no such part: {wrong}", hint=f"The parts are {', '.join(self.parts())}.")
        for kind, module in self.parts().items():
            module.requires_grad_(kind in kinds)

    def parts(self) -> dict[Kind, nn.Module]:
        """Returns the four parts by kind, in the order data flows."""
        return {
            "vision_encoder": self.vision_encoder,
            "projector": self.projector,
            "fusion": self.fusion,
            "backbone": self.backbone,
        }

    def component(self, kind: Kind) -> Component | None:
        """Returns the component that a part is of, or None for one that was built, or put in, by hand."""
        if self.recipe is None or not self.composed.is_still(kind, type(self.parts()[kind])):
            return None
        return self.recipe.parts[kind].component

    @cached_property
    def processor(self) -> Processor:
        """Returns what turns rows into batches for this composition; needs the backbone's tokenizer."""
        return self._make_processor()

    @property
    def device(self) -> torch.device:
        """Returns the device of the backbone."""
        return next(self.backbone.parameters()).device


def _real_tokens(tokens: VisualTokens) -> Tensor:
    """Returns `[v d]`: the tokens of all images, padding left out."""
    if all(shape.num_tokens == tokens.values.shape[1] for shape in tokens.shapes):
        return tokens.values.flatten(0, 1)
    return torch.cat([v[: s.num_tokens] for v, s in zip(tokens.values, tokens.shapes, strict=True)])


def _dtype(module: nn.Module) -> torch.dtype | None:
    parameter = next(module.parameters(), None)
    return None if parameter is None else parameter.dtype
