"""The encoder over one visual tower of open_clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import PretrainedFile, TokenShape, VisionEncoder, VisualTokens
from cobra_kit_openclip.config import OpenClipConfig
from cobra_kit_openclip.models import describe, published_rule
from cobra_kit_openclip.preprocess import KEY, Pixels
from cobra_kit_openclip.pretrained import load_visual, pretrained_files, weights_file
from cobra_kit_openclip.tower import anatomy_of, build_visual, features, pixels_of, running_blocks


class OpenClipEncoder(VisionEncoder):
    """Pixels `[k 3 h w]` -> patch tokens `[k n width]` of the second-to-last block, no class token, no final norm.

    LLaVA takes CLIP's tokens there (its `mm_vision_select_layer` -2, of layers counted from the embeddings on).
    """

    def __init__(self, config: OpenClipConfig) -> None:
        super().__init__(config)
        self.config = config
        self.anatomy = anatomy_of(config)
        self.width = self.anatomy.width
        self.visual = build_visual(config)

    @classmethod
    def preprocess(cls, config: OpenClipConfig) -> Pixels:
        """Returns the callable that prepares one RGB image, with the statistics that open_clip lists."""
        described = describe(config)
        rule = published_rule(config) if config.resize == "published" else config.resize
        shape = cls.max_shape(config)
        return Pixels(pixels_of(config), rule, described.mean, described.std, described.interpolation, shape)

    @classmethod
    def max_shape(cls, config: OpenClipConfig) -> TokenShape:
        """Returns the token shape, the same for every image."""
        return anatomy_of(config).shape

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fills the tower as open_clip fills a new one, from a seed that the generator draws."""
        seed = int(torch.randint(2**62, (), generator=generator))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = build_visual(self.config)
        own = (*self.visual.named_parameters(), *self.visual.named_buffers())
        values = dict((*fresh.named_parameters(), *fresh.named_buffers()))
        for name, tensor in own:
            tensor.data = values[name].data.to(tensor)  # taken over, so that memory holds them once

    def load_pretrained(self) -> None:
        """Loads the weights that `weights` names.

        Raises:
            WeightsError: They cannot be had, are damaged, or do not fit.
        """
        path = weights_file(self.config)
        if path is not None:
            load_visual(self.visual, self.anatomy, path)

    @classmethod
    def sizes_follow_config(cls, config: OpenClipConfig) -> bool:
        """Returns whether the model is one that open_clip has, and none of a file."""
        return not config.model.endswith(".json")

    @classmethod
    def pretrained_files(cls, config: OpenClipConfig) -> tuple[PretrainedFile, ...]:
        """Returns the files that `weights` names, without fetching them; of alternatives the preferred one."""
        return pretrained_files(config)

    def unused_parameters(self) -> Mapping[str, int]:
        """Returns the parameters of the last block and of what pools and projects, which never run."""
        last = f"{self.anatomy.blocks}.{self.anatomy.depth - 1}."
        counts = {"last_block": 0, "pooling_head": 0}
        for name, parameter in self.visual.named_parameters():
            if any(fnmatchcase(name, pattern) for pattern in self.anatomy.unused):
                norm = name.startswith((last, "ln_post.", "trunk.norm."))
                counts["last_block" if norm else "pooling_head"] += parameter.numel()
        return counts

    def blocks(self) -> Sequence[nn.Module]:
        """Returns the blocks that run."""
        return running_blocks(self.visual, self.anatomy)

    def forward(self, images: Mapping[str, Tensor], shapes: tuple[TokenShape, ...]) -> VisualTokens:
        """Returns the second-to-last block's patch tokens `[k n width]`.

        Raises:
            ShapeError: The images or shapes are not those of `preprocess`.
        """
        pixels = images.get(KEY)
        expected = (len(shapes), 3, *pixels_of(self.config))
        hint = "Prepare the images with this encoder's own preprocess()."
        if pixels is None:
            raise ShapeError(f"no images named {KEY}: got {', '.join(sorted(images)) or 'nothing'}", hint=hint)
        if tuple(pixels.shape) != expected:
            raise ShapeError(
                f"takes images {list(expected)} for {len(shapes)} shapes, not {list(pixels.shape)}", hint=hint
            )
        other = next((shape for shape in shapes if shape != self.anatomy.shape), None)
        if other is not None:
            raise ShapeError(f"this encoder returns {self.anatomy.shape}, but a prepared image announces {other}")
        return VisualTokens(features(self.visual, self.anatomy.layer, pixels), shapes)
