"""The composed model: one nn.Module of four parts, with a loss, answers, and a way to disk and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import torch
from torch import Tensor, nn

from cobra_kit.arguments import file_path, instance, text, texts, whole_number
from cobra_kit.errors import ArgumentError, ShapeError, kind_of
from cobra_kit.interfaces import (
    Backbone,
    DecodeState,
    FusedSequence,
    FusionScheme,
    Projector,
    TokenShape,
    VisionEncoder,
    VisualTokens,
)
from cobra_kit.model import calls
from cobra_kit.model.batch import Batch, ImageGroup
from cobra_kit.model.decoding import MOST_NEW_TOKENS, Sampling, evaluating, first_token_probabilities, generate_ids
from cobra_kit.model.decoding.streaming import stream_text
from cobra_kit.model.loss import summed_loss
from cobra_kit.model.prompts import ImageInput, prompt_batches
from cobra_kit.model.signature import signature_of
from cobra_kit.model.summary import render_summary, summarise
from cobra_kit.text.choices import first_answer_ids

if TYPE_CHECKING:
    from cobra_kit._plugins import Component
    from cobra_kit.model.processor import Processor
    from cobra_kit.plugin import Kind
    from cobra_kit.recipe import ResolvedRecipe


class VisionLanguageModel(nn.Module):
    """Vision encoder, projector, fusion scheme and backbone as one module.

    Calling it with a `Batch` returns the loss; `generate` answers questions. Made by `cobra_kit.compose`.

    Args:
        vision_encoder: Images to visual tokens.
        projector: Visual tokens to the backbone's width.
        fusion: Text and visual tokens to one sequence.
        backbone: The language model.
        processor: Makes what turns rows into batches; called when first needed, so that shapes need no tokenizer.
        components: Per kind the qualified name, such as `mamba/tiny`.
        recipe: What the model was composed from; needed to save it.

    Attributes:
        composed: What the model was made of when it was composed; what is saved must still be that.
    """

    def __init__(
        self,
        vision_encoder: VisionEncoder,
        projector: Projector,
        fusion: FusionScheme,
        backbone: Backbone,
        *,
        processor: Callable[[], Processor],
        components: Mapping[str, str],
        recipe: ResolvedRecipe | None = None,
    ) -> None:
        super().__init__()
        self.vision_encoder = vision_encoder
        self.projector = projector
        self.fusion = fusion
        self.backbone = backbone
        self._make_processor = processor
        self.components = dict(components)
        self.recipe = recipe
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
        if len(groups) == 1 and groups[0].indices == tuple(range(len(groups[0].indices))):
            return _real_tokens(projected[0]).to(like.dtype)
        in_order: dict[int, Tensor] = {}
        for group, tokens in zip(groups, projected, strict=True):
            for index, values, shape in zip(group.indices, tokens.values, tokens.shapes, strict=True):
                in_order[index] = values[: shape.num_tokens]
        return torch.cat([in_order[index] for index in sorted(in_order)]).to(like.dtype)

    def encode_images(self, group: ImageGroup) -> VisualTokens:
        """Returns the encoder's tokens `[k n d]` of images of one size; a frozen encoder records no graph.

        Raises:
            ShapeError: The encoder returned other sizes than the images' preparation announced.
        """
        shapes = (group.shape,) * len(group.indices)
        dtype = _dtype(self.projector)
        if group.features is not None:
            return VisualTokens(group.features.to(dtype or group.features.dtype), shapes)
        trainable = any(p.requires_grad for p in self.vision_encoder.parameters())
        encoder_dtype = _dtype(self.vision_encoder)
        tensors = {name: t.to(encoder_dtype or t.dtype) for name, t in group.tensors.items()}
        with nullcontext() if trainable else torch.no_grad():
            tokens = calls.encode(self, tensors, shapes)
        return VisualTokens(tokens.values.to(dtype or tokens.values.dtype), tokens.shapes)

    def generate(
        self,
        images: ImageInput = None,
        questions: str | Sequence[str] = "",
        *,
        max_new_tokens: int = 64,
        batch_size: int = 16,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> str | list[str]:
        """Returns the answer to each question.

        Args:
            images: A picture (PIL, a path, or the bytes of a file), several pictures of one question, or None. With a
                list of questions: one entry of that kind per question, or one picture for all of them.
            questions: One question, or a list of them. `<image>` marks a place in the text where the fusion scheme
                looks at markers.
            max_new_tokens: Most tokens per answer.
            batch_size: Questions decoded together.
            temperature: 0: the most probable token every time; above: tokens are drawn, more freely the higher.
            top_p: Draw among the most probable tokens that together reach this probability.
            seed: Of the draws; a question's depend on its place in the list too, and not on `batch_size`.

        Returns:
            A string for one question, a list for a list; an empty one for an empty one.

        Raises:
            ArgumentError: An argument is of a wrong kind or out of range.
            TextError: Images and questions do not match.
            ImageError: A picture cannot be read.
            CobraError: The model's logits are not numbers.
        """
        sampling = Sampling(temperature, top_p, seed)
        max_new_tokens = whole_number(max_new_tokens, "max_new_tokens", at_least=1, at_most=MOST_NEW_TOKENS)
        eos = self.processor.codec.tokenizer.eos_id
        answers: list[str] = []
        with evaluating(self):
            for batch in prompt_batches(self.processor, images, questions, batch_size):
                rows = generate_ids(
                    self,
                    batch.to(self.device),
                    max_new_tokens=max_new_tokens,
                    stop_ids=[eos],
                    sampling=sampling,
                    rows=range(len(answers), len(answers) + batch.num_rows),
                )
                answers += [self.processor.codec.tokenizer.decode(ids).strip() for ids in rows]
        return answers[0] if isinstance(questions, str) else answers

    def stream(
        self,
        images: ImageInput = None,
        question: str = "",
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """Yields the answer to one question in pieces, as they come; joined they are what `generate` returns.

        A piece never ends inside a character. Between two pieces, and when the stream is dropped, the model is in the
        mode it was in before.

        Args:
            images: As for `generate` with one question.
            question: The question.
            max_new_tokens: Most tokens of the answer.
            temperature: As for `generate`.
            top_p: As for `generate`.
            seed: As for `generate`.

        Raises:
            CobraError: As for `generate`; pictures are read when the first piece is asked for.
        """
        sampling = Sampling(temperature, top_p, seed)
        whole_number(max_new_tokens, "max_new_tokens", at_least=1, at_most=MOST_NEW_TOKENS)
        return self._pieces(images, text(question, "question"), max_new_tokens, sampling)

    def _pieces(self, images: ImageInput, question: str, max_new_tokens: int, sampling: Sampling) -> Iterator[str]:
        (batch,) = prompt_batches(self.processor, images, question, 1)
        pieces = stream_text(self, batch.to(self.device), max_new_tokens=max_new_tokens, sampling=sampling)
        while True:
            with evaluating(self):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def answer_probabilities(
        self,
        images: ImageInput,
        questions: str | Sequence[str],
        answers: Sequence[str],
        *,
        batch_size: int = 16,
    ) -> Tensor:
        """Returns `[questions answers]`: how likely each answer is to come first (one row for one question).

        Args:
            images: As for `generate`.
            questions: As for `generate`.
            answers: Answers of one token each, such as `["Yes", "No"]`, as the prompt template writes them.
            batch_size: Questions scored together.

        Raises:
            ArgumentError: An argument is of a wrong kind.
            TextError: An answer is not one token, or two are the same.
        """
        answers = texts(answers, "answers", example='["Yes", "No"]')
        first_answer_ids(answers, self.processor.codec)
        with evaluating(self):
            rows = [
                first_token_probabilities(self, batch.to(self.device), answers)
                for batch in prompt_batches(self.processor, images, questions, batch_size)
            ]
        return torch.cat(rows) if rows else torch.empty(0, len(answers), device=self.device)

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

    def image_tokens(self) -> TokenShape:
        """Returns the tokens of one image of the largest size, after the projector."""
        parts = self._require_recipe().parts
        encoder = cast("type[VisionEncoder]", parts["vision_encoder"].component.load_class())
        projector = cast("type[Projector]", parts["projector"].component.load_class())
        return projector.output_shape(parts["projector"].config, encoder.max_shape(parts["vision_encoder"].config))

    def summary(self) -> str:
        """Returns a printout of the parts: component, frozen or trainable, parameters."""
        return render_summary(summarise(self))

    @property
    def device(self) -> torch.device:
        """Returns the device of the backbone."""
        return next(self.backbone.parameters()).device

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes recipe, lock and weights to a folder that `from_pretrained` opens.

        Raises:
            CobraError: The model was built by hand.
            WeightsError: A part was replaced or wrapped since it was composed, or the folder cannot be written.
        """
        from cobra_kit.model.checkpoint import save_pretrained

        save_pretrained(self, self._require_recipe(), file_path(folder, "folder"))

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
    ) -> Self:
        """Returns the model that `save_pretrained` wrote.

        Raises:
            WeightsError: A file is missing or damaged, or the weights do not fit.
            PluginError: A component is not installed.
        """
        from cobra_kit.model.checkpoint import from_pretrained

        return cast("Self", from_pretrained(file_path(folder, "folder"), device=device, dtype=dtype))

    def _require_recipe(self) -> ResolvedRecipe:
        if self.recipe is None:
            raise ArgumentError(
                "this model was built from parts by hand and has no recipe; make it with cobra_kit.compose"
            )
        return self.recipe


def _real_tokens(tokens: VisualTokens) -> Tensor:
    """Returns `[v d]`: the tokens of all images, padding left out."""
    if all(shape.num_tokens == tokens.values.shape[1] for shape in tokens.shapes):
        return tokens.values.flatten(0, 1)
    return torch.cat([v[: s.num_tokens] for v, s in zip(tokens.values, tokens.shapes, strict=True)])


def _dtype(module: nn.Module) -> torch.dtype | None:
    parameter = next(module.parameters(), None)
    return None if parameter is None else parameter.dtype
