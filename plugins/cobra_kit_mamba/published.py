"""The `config.json` of published Mamba models, in both forms, against the sizes of a component.

state-spaces: the arguments of `mamba_ssm/models/config_mamba.py` (commit 107eb60), the mixer's own under `ssm_cfg`.
open_lm's first upload of Mamba-7B is a part of this form. transformers: `model_type` `mamba` or `mamba2`. A key that a
file leaves out has the default of its library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cobra_kit.errors import WeightsError
from cobra_kit_mamba.config import MambaConfig, MambaFamilyConfig
from cobra_kit_mamba.mamba2_config import MambaTwoConfig

_Compared = Iterator[tuple[str, object, object]]
"""Key in the file, its value there, the value it must have."""

_NO_LIMIT = [0.0, float("inf")]


def check_published(published: Mapping[str, Any], config: MambaFamilyConfig, *, where: str) -> None:
    """Checks that a published model is of the generation and the sizes that a component describes.

    Raises:
        WeightsError: It is another model, or differs; one message names every key.
    """
    wanted = "mamba2" if isinstance(config, MambaTwoConfig) else "mamba"
    kind = _kind(published, where)
    if kind != wanted:
        raise WeightsError(
            f"holds a model of the type {_described(published, kind)}, and this component is of the type {wanted}",
            where=where,
            hint="Give a folder with a Mamba-2 model." if wanted == "mamba2" else "Give a folder with a Mamba-1 model.",
        )
    compared = _transformers(published, config) if "model_type" in published else _state_spaces(published, config)
    differing = [f"{key} is {there!r} there, {here!r} here" for key, there, here in compared if there != here]
    if differing:
        raise WeightsError(
            f"the published model differs from the component in {len(differing)} settings: {'; '.join(differing)}",
            where=where,
            hint="Use the component of that size (`cobra-kit plugins list`), or set these keys in the recipe.",
        )


def _kind(published: Mapping[str, Any], where: str) -> str:
    """Returns the `model_type` that a file has or, in state-spaces' form, would have."""
    if "model_type" in published:
        return str(published["model_type"])
    if "d_model" in published and "n_layer" in published:
        layer = _mixer(published).get("layer", "Mamba1")
        return {"Mamba1": "mamba", "Mamba2": "mamba2"}.get(layer, str(layer))
    keys = ", ".join(sorted(published)) or "none"
    raise WeightsError(
        f"describes no language model: it has neither `model_type` nor `d_model` and `n_layer` (its keys: {keys})",
        where=where,
        hint="Give a folder with Mamba weights as state-spaces or transformers publish them.",
    )


def _described(published: Mapping[str, Any], kind: str) -> str:
    architectures = published.get("architectures") or []
    return f"{kind} ({', '.join(map(str, architectures))})" if architectures else kind


def _mixer(published: Mapping[str, Any]) -> Mapping[str, Any]:
    mixer = published.get("ssm_cfg") or {}
    return mixer if isinstance(mixer, Mapping) else {}


def _state_spaces(published: Mapping[str, Any], config: MambaFamilyConfig) -> _Compared:
    yield "d_model", published.get("d_model"), config.d_model
    yield "n_layer", published.get("n_layer"), config.n_layer
    vocab_size, multiple = published.get("vocab_size", 50277), published.get("pad_vocab_size_multiple", 8)
    if config.padded_vocab_size is not None:
        yield "vocab_size, padded,", -(-vocab_size // multiple) * multiple, config.padded_vocab_size
    yield "rms_norm", published.get("rms_norm", True), True
    yield "residual_in_fp32", published.get("residual_in_fp32", True), config.residual_in_fp32
    yield "d_intermediate", published.get("d_intermediate", 0), 0
    yield "attn_layer_idx", published.get("attn_layer_idx", []), []
    mixer = _mixer(published)
    yield "ssm_cfg.expand", mixer.get("expand", 2), config.expand
    yield "ssm_cfg.d_conv", mixer.get("d_conv", 4), config.d_conv
    if isinstance(config, MambaTwoConfig):
        yield "ssm_cfg.d_state", mixer.get("d_state", 128), config.d_state
        yield "ssm_cfg.headdim", mixer.get("headdim", 64), config.head_dim
        yield "ssm_cfg.ngroups", mixer.get("ngroups", 1), config.n_groups
        yield "ssm_cfg.norm_before_gate", mixer.get("norm_before_gate", False), False
        yield "ssm_cfg.dt_limit", list(mixer.get("dt_limit", _NO_LIMIT)), _NO_LIMIT
    elif isinstance(config, MambaConfig):
        yield "ssm_cfg.d_state", mixer.get("d_state", 16), config.d_state
        yield "ssm_cfg.dt_rank", _rank(mixer.get("dt_rank", "auto"), config.d_model), config.resolved_dt_rank


def _transformers(published: Mapping[str, Any], config: MambaFamilyConfig) -> _Compared:
    second = isinstance(config, MambaTwoConfig)
    yield "hidden_size", published.get("hidden_size", 4096 if second else 768), config.d_model
    yield "num_hidden_layers", published.get("num_hidden_layers", 64 if second else 32), config.n_layer
    if config.padded_vocab_size is not None:
        yield "vocab_size", published.get("vocab_size", 32768 if second else 50280), config.padded_vocab_size
    yield "state_size", published.get("state_size", 128 if second else 16), config.d_state
    yield "expand", published.get("expand", 2), config.expand
    yield "conv_kernel", published.get("conv_kernel", 4), config.d_conv
    yield "layer_norm_epsilon", published.get("layer_norm_epsilon", 1e-5), config.norm_eps
    yield "residual_in_fp32", published.get("residual_in_fp32", True), config.residual_in_fp32
    yield "hidden_act", published.get("hidden_act", "silu"), "silu"
    yield "use_bias", published.get("use_bias", False), False
    yield "use_conv_bias", published.get("use_conv_bias", True), True
    if isinstance(config, MambaTwoConfig):
        yield "num_heads", published.get("num_heads", 128), config.n_heads
        yield "head_dim", published.get("head_dim", 64), config.head_dim
        yield "n_groups", published.get("n_groups", 8), config.n_groups
        yield "time_step_limit", [_number(v) for v in published.get("time_step_limit", _NO_LIMIT)], _NO_LIMIT
    elif isinstance(config, MambaConfig):
        rank = _rank(published.get("time_step_rank", "auto"), config.d_model)
        yield "time_step_rank", rank, config.resolved_dt_rank


def _rank(rank: int | str, d_model: int) -> int | str:
    return -(-d_model // 16) if rank == "auto" else rank


def _number(value: Any) -> Any:
    """Returns a number that transformers 5 writes as `{"__float__": "Infinity"}`, because JSON has no infinity."""
    return float(value["__float__"]) if isinstance(value, Mapping) and "__float__" in value else value
