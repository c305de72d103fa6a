"""A backbone's settings in transformers' terms, and what of transformers' wide range this package takes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cobra_kit.errors import PluginError, WeightsError
from cobra_kit.files import damage_as, expanded, read_json
from cobra_kit_transformer.hf_config import DecoderConfig, HfConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_FORWARD = ("inputs_embeds", "attention_mask", "position_ids", "use_cache")
_CACHE = ("cache", "past_key_values")
"""What `forward` calls its cache; the second is its name before transformers 5.24 and for some models after."""

_FLOATS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
"""Numbers that JSON has no form for, as transformers writes them: `{"__float__": "Infinity"}`."""

_GROWING_ROPE = ("dynamic", "longrope")


def transformers_config(config: DecoderConfig) -> PreTrainedConfig:
    """Returns transformers' config of a backbone. Weights are never fetched, `config.json` only where nothing else is.

    Raises:
        WeightsError: The repository or the folder has no readable `config.json`.
        PluginError: transformers does not know the architecture, or this package does not take it.
    """
    settings: dict[str, Any] = _floats({**_base_settings(config), **config.settings})
    model_type = settings.pop("model_type", None)
    from transformers import AutoConfig

    try:
        with quiet():  # it logs a whole config beside the error that is quoted below
            built: PreTrainedConfig = AutoConfig.for_model(model_type, **settings)
    except Exception as error:  # unknown names, values that do not fit: many types
        raise PluginError(
            f"transformers cannot build a config of model_type {model_type!r}: {sentence(error)}",
            where=source_of(config),
            hint="Code that a repository brings along is not run; only architectures of transformers itself are built.",
        ) from error
    try:
        problems = list(_problems(built))
    except Exception as error:  # a config may compute what it is asked for, and refuse
        problems = [f"its settings cannot be read ({sentence(error)})"]
    if problems:
        raise PluginError(
            f"this {built.model_type} model cannot be a backbone: {'; '.join(problems)}",
            where=source_of(config),
            hint="Take a decoder with full attention in every layer, such as transformer/pythia-2.8b; Mamba itself is "
            "a component of its own, such as mamba/2.8b.",
        )
    return built


def source_of(config: DecoderConfig) -> str:
    """Returns what messages call the model."""
    if isinstance(config, HfConfig):
        return f"transformer/hf: {config.model or config.settings['model_type']}"
    assert config.published is not None
    return f"transformer: {config.published.repository}"


def sentence(error: Exception) -> str:
    """Returns an error on one line, whole: transformers' own often begin with a headline that ends in a colon."""
    words, name = " ".join(str(error).split()).rstrip(".:"), type(error).__name__
    if not words:
        return name
    return words if isinstance(error, (ValueError, ImportError, RuntimeError, AssertionError)) else f"{name}: {words}"


def model_folder(config: HfConfig) -> Path | None:
    """Returns the folder that `model` names, or None where it names a hub repository."""
    path = expanded(config.model or "")
    return path if config.model and path.is_dir() else None


def hub_file(config: DecoderConfig, repository: str, *patterns: str) -> Path:
    """Returns the folder with small files of a repository.

    Raises:
        WeightsError: The files cannot be had.
    """
    from cobra_kit.weights import hub_folder

    return hub_folder(repository, patterns=patterns, where=source_of(config))


def check_forward(decoder: type[Any], *, where: str) -> None:
    """Checks that a decoder takes embeddings, positions, a mask and a cache.

    Raises:
        PluginError: The decoder does not take them.
    """
    takes = inspect.signature(decoder.forward).parameters
    missing = [name for name in _FORWARD if name not in takes]
    if not any(name in takes for name in _CACHE):
        missing.append(" or ".join(_CACHE))
    if missing:
        raise PluginError(f"the forward of {decoder.__name__} takes no {', '.join(missing)}", where=where)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps to itself what transformers logs of a config that it refuses, or of a small copy's odd sizes."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(before)


@cache
def cache_argument(forward: Callable[..., Any]) -> str:
    """Returns what a decoder's `forward` calls the cache of keys and values."""
    takes = inspect.signature(forward).parameters
    return next(name for name in _CACHE if name in takes)


def _floats(value: Any) -> Any:
    """Returns settings with the numbers that transformers writes as objects, at any depth, as numbers."""
    if isinstance(value, dict):
        tag = value.get("__float__") if len(value) == 1 else None
        if isinstance(tag, str) and tag in _FLOATS:
            return _FLOATS[tag]
        return {key: _floats(inner) for key, inner in value.items()}
    return [_floats(inner) for inner in value] if isinstance(value, list) else value


def _base_settings(config: DecoderConfig) -> dict[str, Any]:
    if not isinstance(config, HfConfig):
        assert config.published is not None
        return dict(config.published.settings)
    if config.model is None:
        return {}
    folder = model_folder(config) or hub_file(config, config.model, "config.json")
    return _read_config(folder / "config.json")


def _read_config(file: Path) -> dict[str, Any]:
    try:
        with damage_as(WeightsError, "Fetch the file again."):
            settings = read_json(file, nan=True)
    except OSError as error:
        raise WeightsError(
            f"no config.json can be read: {error.strerror or error}",
            where=str(file),
            hint="A model's folder has it beside the weights; the name of a hub repository is owner/name.",
        ) from error
    if not isinstance(settings, dict) or not isinstance(settings.get("model_type"), str):
        raise WeightsError("says no model_type", where=str(file), hint="It must be a config.json of transformers.")
    return settings


def _problems(built: PreTrainedConfig) -> Iterator[str]:
    from transformers import AutoModelForCausalLM

    def setting(name: str) -> Any:
        return getattr(built, name, None)

    if type(built) not in AutoModelForCausalLM._model_mapping:
        yield "transformers has no causal language model of this type"
    if built.is_encoder_decoder:
        yield "it has an encoder of its own"
    parts = sorted(built.sub_configs)
    if parts:
        yield f"its config holds others, as that of several models in one ({', '.join(parts)})"
    elif not isinstance(setting("num_attention_heads"), int):
        yield "its layers have no number of attention heads in common"
    other = sorted({kind for kind in setting("layer_types") or () if kind != "full_attention"})
    if other:
        yield f"it has layers of other kinds than full attention ({', '.join(other)})"
    elif not setting("layer_types") and setting("sliding_window") and setting("use_sliding_window") is not False:
        yield f"its attention sees the last {setting('sliding_window')} tokens only"
    if setting("alibi"):
        yield "its attention takes distances for positions (ALiBi)"
    if setting("kv_lora_rank"):
        yield "its keys and values are compressed (latent attention)"
    growing = sorted(set(_rope_types(setting("rope_parameters"))) & set(_GROWING_ROPE))
    if growing:
        yield f"its rotary frequencies depend on the longest row of a batch ({', '.join(growing)})"


def _rope_types(parameters: Any) -> Iterator[str]:
    """Yields the schemes of rotary positions, which a config may have per kind of layer."""
    if isinstance(parameters, dict):
        if isinstance(parameters.get("rope_type"), str):
            yield parameters["rope_type"]
        for inner in parameters.values():
            yield from _rope_types(inner)
