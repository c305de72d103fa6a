"""A stranger's plugin in one file: the smallest parts that keep the four contracts. Tests load it with --plugin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import torch
from PIL.Image import Image
from pydantic import Field
from torch import Tensor, nn

from cobra_kit.config import ComponentConfig
from cobra_kit.errors import ShapeError
from cobra_kit.images import to_tensor
from cobra_kit.interfaces import (
    Backbone,
    DecodeState,
    FusedSequence,
    FusionScheme,
    Layout,
    LayoutBatch,
    PreparedImage,
    Projector,
    TextCodec,
    TextRow,
    TokenShape,
    VisionEncoder,
    VisualTokens,
)
from cobra_kit.plugin import BackboneSpec, FusionSpec, ProjectorSpec, VisionEncoderSpec, hookimpl

PATCH = 8


class ToyEncoderConfig(ComponentConfig):
    width: int = Field(6, description="channels of a visual token")


class ToyProjectorConfig(ComponentConfig):
    max_tokens: int = Field(10_000, description="refuses images with more tokens")


class ToyFusionConfig(ComponentConfig):
    pass


class ToyBackboneConfig(ComponentConfig):
    hidden_size: int = Field(10, description="width of embeddings and hidden states")
    decay: float = Field(0.5, description="how much of the state a step keeps")

    @classmethod
    def tiny(cls) -> Self:
        return cls(hidden_size=4, decay=0.5)


def patches_of(image: Image) -> PreparedImage:
    rows, columns = image.height // PATCH, image.width // PATCH
    cut = image.crop((0, 0, columns * PATCH, rows * PATCH))
    pixels = to_tensor(cut, (0.5,) * 3, (0.5,) * 3)
    return PreparedImage({"pixels": pixels}, TokenShape(rows * columns, (rows, columns)))


class ToyEncoder(VisionEncoder):
    """The mean colour of each 8 x 8 patch, widened. Any image size: the grid follows the image."""

    def __init__(self, config: ToyEncoderConfig) -> None:
        super().__init__(config)
        self.width = config.width
        self.widen = nn.Linear(3, config.width)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        _normal(self, generator)

    @classmethod
    def preprocess(cls, config: ToyEncoderConfig) -> Callable[[Image], PreparedImage]:
        return patches_of

    @classmethod
    def max_shape(cls, config: ToyEncoderConfig) -> TokenShape:
        return TokenShape(64, (8, 8))

    def forward(self, images: Mapping[str, Tensor], shapes: tuple[TokenShape, ...]) -> VisualTokens:
        means = nn.functional.avg_pool2d(images["pixels"], PATCH).flatten(2).transpose(1, 2)
        return VisualTokens(self.widen(means), shapes)


class ToyProjector(Projector):
    def __init__(self, config: ToyProjectorConfig, *, in_width: int, max_shape: TokenShape, out_width: int) -> None:
        super().__init__(config, in_width=in_width, max_shape=max_shape, out_width=out_width)
        self.linear = nn.Linear(in_width, out_width)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        _normal(self, generator)

    @classmethod
    def output_shape(cls, config: ToyProjectorConfig, shape: TokenShape) -> TokenShape:
        if shape.num_tokens > config.max_tokens:
            raise ShapeError(f"{shape.num_tokens} tokens are more than max_tokens {config.max_tokens}")
        return shape

    def forward(self, tokens: VisualTokens) -> VisualTokens:
        return VisualTokens(self.linear(tokens.values), tokens.shapes)


class SeparatorFusion(FusionScheme):
    """All images first, each followed by one learnt separator: exercises a scheme's own embeddings."""

    def __init__(self, config: ToyFusionConfig, *, hidden_size: int) -> None:
        super().__init__(config, hidden_size=hidden_size)
        self.separator = nn.Parameter(torch.empty(1, hidden_size))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        _normal(self, generator)

    def extra_embeddings(self) -> Tensor:
        return self.separator

    @classmethod
    def layout(cls, config: ToyFusionConfig, text: TextRow, images: Sequence[TokenShape]) -> Layout:
        kind: list[int] = []
        index: list[int] = []
        seen = 0
        for image in images:
            kind += [1] * image.num_tokens + [2]
            index += [*range(seen, seen + image.num_tokens), 0]
            seen += image.num_tokens
        blank = [-100] * len(kind)
        return Layout(kind + [0] * len(text.ids), index + list(range(len(text.ids))), blank + list(text.labels))


class ToyBackbone(Backbone):
    """h_t = decay * h_(t-1) + W x_t, a linear recurrence that can be checked by hand."""

    def __init__(self, config: ToyBackboneConfig) -> None:
        super().__init__(config)
        self.hidden_size = config.hidden_size
        vocabulary = self.text_codec(config).tokenizer.vocab_size
        self.vocab_size = math.ceil(vocabulary / 8) * 8
        self.decay = config.decay
        self.embedding = nn.Embedding(self.vocab_size, config.hidden_size)
        self.mix = nn.Linear(config.hidden_size, config.hidden_size)
        self.head = nn.Linear(config.hidden_size, self.vocab_size)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        _normal(self, generator)

    @classmethod
    def text_codec(cls, config: ToyBackboneConfig) -> TextCodec:
        from cobra_kit.text.templates import ChatTemplate
        from cobra_kit.text.tokenizer import small_tokenizer

        return TextCodec(small_tokenizer(), ChatTemplate(), 512)

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.embedding(ids)
        return embedded

    def forward(self, sequence: FusedSequence, state: DecodeState | None = None) -> Tensor:
        embeddings, layout = sequence.embeddings, sequence.layout
        hidden = embeddings.new_zeros(embeddings.shape[0], self.hidden_size)
        if state is not None:
            hidden = state.tensors["hidden"].clone()
        outputs = []
        for t in range(embeddings.shape[1]):
            fresh = self._reset_at(layout, t)
            real = (layout.segment_ids[:, t] > 0)[:, None]
            hidden = torch.where(real, (hidden * ~fresh) * self.decay + self.mix(embeddings[:, t]), hidden)
            outputs.append(hidden)
        if state is not None:
            state.tensors["hidden"].copy_(hidden)
            state.lengths += torch.tensor(layout.lengths, dtype=torch.int32)
        return torch.stack(outputs, 1)

    @staticmethod
    def _reset_at(layout: LayoutBatch, t: int) -> Tensor:
        if t == 0:
            return torch.zeros(layout.segment_ids.shape[0], 1, dtype=torch.bool)
        return (layout.segment_ids[:, t] != layout.segment_ids[:, t - 1])[:, None]

    def logits(self, hidden: Tensor) -> Tensor:
        scores: Tensor = self.head(hidden)
        return scores

    def new_state(self, batch: int, max_length: int, *, device: torch.device, dtype: torch.dtype) -> DecodeState:
        hidden = torch.zeros(batch, self.hidden_size, device=device, dtype=dtype)
        return DecodeState({"hidden": hidden}, torch.zeros(batch, dtype=torch.int32, device=device))

    def step(self, embeddings: Tensor, state: DecodeState) -> Tensor:
        hidden = state.tensors["hidden"]
        hidden.mul_(self.decay).add_(self.mix(embeddings))
        state.lengths += 1
        return hidden.clone()


def _normal(module: nn.Module, generator: torch.Generator | None) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)


@hookimpl
def cobra_vision_encoders() -> list[VisionEncoderSpec]:
    return [
        VisionEncoderSpec(
            name="patches",
            summary="mean colour of each patch",
            target=f"{__name__}:ToyEncoder",
            config=f"{__name__}:ToyEncoderConfig",
        )
    ]


@hookimpl
def cobra_projectors() -> list[ProjectorSpec]:
    return [
        ProjectorSpec(
            name="linear",
            summary="one linear layer",
            target=f"{__name__}:ToyProjector",
            config=f"{__name__}:ToyProjectorConfig",
        )
    ]


@hookimpl
def cobra_fusion_schemes() -> list[FusionSpec]:
    return [
        FusionSpec(
            name="separator",
            summary="images first, each with a learnt separator",
            target=f"{__name__}:SeparatorFusion",
            config=f"{__name__}:ToyFusionConfig",
        )
    ]


@hookimpl
def cobra_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="decay",
            summary="a linear recurrence",
            target=f"{__name__}:ToyBackbone",
            config=f"{__name__}:ToyBackboneConfig",
        )
    ]
