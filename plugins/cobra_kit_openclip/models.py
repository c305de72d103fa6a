"""The facts open_clip has on a model: its vision tower's settings, how it prepares images, where its weights are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cobra_kit.errors import RecipeError, UnreadableFile
from cobra_kit.files import expanded, read_json
from cobra_kit_openclip.config import OpenClipConfig

if TYPE_CHECKING:
    from cobra_kit.images import Interpolation, ResizeRule

_RESIZE_RULES: dict[str, ResizeRule] = {"squash": "naive", "shortest": "crop"}


@dataclass(frozen=True, slots=True)
class Description:
    """One model of open_clip.

    Args:
        embed_dim: Channels of open_clip's pooled output.
        vision: The model's `vision_cfg` as open_clip has it.
        quick_gelu: Whether blocks take x * sigmoid(1.702 x) for GELU; timm's towers never do.
        mean: Mean of red, green and blue, pixels in 0..1.
        std: Standard deviation of red, green and blue.
        interpolation: The filter that resizes images.
        resize_mode: open_clip's name of the rule that it resizes images by.
        hub: Hub repository and file of the published weights, `owner/name/file`, the file empty where open_clip's usual
            names are meant; None where none are published.
    """

    embed_dim: int
    vision: Mapping[str, Any]
    quick_gelu: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation
    resize_mode: str
    hub: str | None

    @property
    def pixels(self) -> tuple[int, int]:
        """Returns (height, width) of the model's own input, in pixels."""
        size = self.vision.get("image_size", 224)
        height, width = size if isinstance(size, (list, tuple)) else (size, size)
        return int(height), int(width)


def describe(config: OpenClipConfig) -> Description:
    """Returns what open_clip knows of the model that a config names.

    Raises:
        RecipeError: It knows no such model, or no weights of that tag, or the file is no model config.
    """
    return _describe(config.model, config.pretrained, config.component)


def published_rule(config: OpenClipConfig) -> ResizeRule:
    """Returns the resize rule that open_clip itself follows.

    Raises:
        RecipeError: It is none of the three.
    """
    mode = describe(config).resize_mode
    if mode not in _RESIZE_RULES:
        message = f"open_clip resizes pictures of {config.model} in its mode {mode!r}, which is none of these rules"
        hint = "Choose resize: naive, crop or letterbox (open_clip's `longest` is a letterbox with black bars)."
        raise RecipeError(message, where=f"{config.component}: resize: published", hint=hint)
    return _RESIZE_RULES[mode]


@cache
def _describe(model: str, pretrained: str | None, component: str) -> Description:
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    loaded = _from_file(expanded(model), component) if model.endswith(".json") else _built_in(model, component)
    settings, prepared = loaded
    published = _published(model, pretrained, component)
    pixels = merge_preprocess_dict(merge_preprocess_dict(PreprocessCfg(), prepared), published)
    return Description(
        embed_dim=settings["embed_dim"],
        vision=settings["vision_cfg"],
        # The weights decide where their tag says something (open_clip itself only warns), else the model does.
        quick_gelu=bool(published.get("quick_gelu", settings.get("quick_gelu", False))),
        mean=tuple(pixels["mean"]),
        std=tuple(pixels["std"]),
        interpolation=cast("Interpolation", pixels["interpolation"]),
        resize_mode=pixels["resize_mode"],
        hub=published.get("hf_hub") or None,
    )


def _built_in(model: str, component: str) -> tuple[dict[str, Any], dict[str, Any]]:
    import open_clip

    names = open_clip.list_models()
    if model not in names:
        raise RecipeError(
            f"open_clip {open_clip.__version__} has no model {model!r}",
            where=f"{component}: model",
            hint=_nearest(model, names),
        )
    return open_clip.get_model_config(model), {}


def _from_file(path: Path, component: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns `model_cfg` and `preprocess_cfg` of a file; open_clip's own files have the first alone, bare."""
    try:
        content = read_json(path)
        settings = content.get("model_cfg", content)
        prepared = content.get("preprocess_cfg", {})
        _check_types(settings, prepared)
        return {"embed_dim": settings["embed_dim"], **settings, "vision_cfg": settings["vision_cfg"]}, prepared
    except (OSError, UnreadableFile, KeyError, AttributeError, TypeError, ValueError) as error:
        reason = error.message if isinstance(error, UnreadableFile) else f"{type(error).__name__}: {error}"
        raise RecipeError(
            f"{path} is no model config of open_clip: {reason}",
            where=f"{component}: model",
            hint="It is a JSON file with embed_dim and vision_cfg, as in open_clip/model_configs.",
        ) from error


def _check_types(settings: Any, prepared: Any) -> None:
    """Raises a TypeError or ValueError where a file's settings are not of the types that open_clip's have."""
    vision = settings["vision_cfg"]
    if not all(isinstance(part, dict) for part in (settings, prepared, vision)):
        raise TypeError("model_cfg, vision_cfg and preprocess_cfg must be mappings")
    size = vision.get("image_size", 224)
    sizes = size if isinstance(size, list) else [size, size]
    if len(sizes) != 2 or not all(type(value) is int and 0 < value < 1 << 16 for value in sizes):
        raise ValueError(f"image_size {size!r} is no size of an image")
    if type(settings["embed_dim"]) is not int:
        raise TypeError("embed_dim must be a whole number")
    for name in ("mean", "std"):
        values = prepared.get(name, [0.5] * 3)
        if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
            raise TypeError(f"{name} must be a list of numbers")


def _published(model: str, pretrained: str | None, component: str) -> dict[str, Any]:
    import open_clip

    if pretrained is None:
        return {}
    published: dict[str, Any] = open_clip.get_pretrained_cfg(model, pretrained)
    if not published:
        tags = open_clip.list_pretrained_tags_by_model(model)
        raise RecipeError(
            f"open_clip {open_clip.__version__} has no weights {pretrained!r} of {model}",
            where=f"{component}: pretrained",
            hint=f"Its tags: {', '.join(tags)}." if tags else "None are published: set pretrained: null.",
        )
    return published


def _nearest(model: str, names: list[str]) -> str:
    near = get_close_matches(model, names, n=4, cutoff=0.4)
    return f"Near it: {', '.join(near)}." if near else "open_clip.list_models() has the names."
