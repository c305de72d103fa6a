"""A config of transformers made small: every kind of layer, every multiplier and every switch stays, widths do not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

HEADS, HEAD_DIM, VOCABULARY, POSITIONS, WINDOW = 4, 16, 96, 128, 6

_PRETRAINED = "original_max_position_embeddings"
"""Of `rope_parameters`: beyond it some models compute otherwise, so that a copy's rows must go beyond it."""

_WIDTHS = ("intermediate_size", "ffn_dim", "ffn_hidden_size", "n_inner", "d_ff", "dim_ff", "ffn_embed_dim", "mlp_dim")
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "ffn_num_experts")
_CHOSEN = ("num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_topk", "moe_top_k", "top_k_experts")
_GROUPS = ("n_group", "topk_group", "num_expert_group")
_FIRST_LAYERS = ("first_k_dense_replace", "moe_layer_start_index", "num_dense_layers")


def shrink(config: PreTrainedConfig) -> dict[str, Any]:
    """Returns the settings of a model of the same type that builds in milliseconds.

    Names that no rule knows keep their values; so does whatever is small already.
    """
    names: Mapping[str, str] = config.attribute_map
    settings = config.to_dict()
    for key in ("model_type", "transformers_version", "architectures", "dtype", "_name_or_path"):
        settings.pop(key, None)
    for key, value in _attention(config).items():
        if names.get(key, key) in settings:  # some are computed from the others
            settings[names.get(key, key)] = value
    settings = _layers(settings, names.get("num_hidden_layers", "num_hidden_layers"))
    for key, value in settings.items():
        if isinstance(value, int) and not isinstance(value, bool):
            settings[key] = _smaller(key, value)
        elif isinstance(value, dict):
            settings[key] = _rope(value)
    vocabulary = names.get("vocab_size", "vocab_size")
    settings[vocabulary] = min(int(settings.get(vocabulary) or VOCABULARY), VOCABULARY)
    return {key: _token(key, value, settings[vocabulary]) for key, value in settings.items()}


def _attention(config: Any) -> dict[str, Any]:
    """Returns heads, their width and the width of hidden states, with the proportions that the model has."""
    heads, hidden = config.num_attention_heads, config.hidden_size
    if not isinstance(heads, int) or hidden <= HEADS * HEAD_DIM:
        return {}
    head_dim = getattr(config, "head_dim", None)
    out: dict[str, Any] = {"num_attention_heads": HEADS, "hidden_size": HEADS * HEAD_DIM}
    if isinstance(head_dim, int):
        out["head_dim"] = HEAD_DIM
        if head_dim * heads != hidden:
            out["hidden_size"] = 3 * HEADS * HEAD_DIM // 2
    for key in ("num_key_value_heads", "num_kv_heads"):
        groups = getattr(config, key, None)
        if isinstance(groups, int):
            out[key] = {heads: HEADS, 1: 1}.get(groups, HEADS // 2)
    rotary = getattr(config, "rotary_dim", None)
    if isinstance(rotary, int):
        out["rotary_dim"] = HEAD_DIM // 2
    for key in ("word_embed_proj_dim", "d_kv", "embedding_size"):
        if getattr(config, key, None) == hidden:
            out[key] = out["hidden_size"]
    return out


def _layers(settings: dict[str, Any], depth_name: str) -> dict[str, Any]:
    """Returns the settings with the first layer of every kind, at least two layers of up to four."""
    depth = settings.get(depth_name)
    if not isinstance(depth, int) or depth <= 4:
        return settings
    lists = {key: value for key, value in settings.items() if isinstance(value, list) and len(value) == depth}
    kept: list[int] = []
    for layer in range(depth):
        if all(any(value[layer] != value[other] for value in lists.values()) for other in kept):
            kept.append(layer)
    for layer in range(depth):
        if len(kept) < 4 and layer not in kept:
            kept.append(layer)
    kept.sort()
    return {**settings, depth_name: len(kept), **{k: [v[layer] for layer in kept] for k, v in lists.items()}}


def _smaller(key: str, value: int) -> int:
    if key.endswith(_WIDTHS):
        return min(value, HEADS * HEAD_DIM)
    if key in _EXPERTS:
        return min(value, 4)
    if key in _CHOSEN:
        return min(value, 2)
    if key in _GROUPS or key in _FIRST_LAYERS:
        return min(value, 1)
    if "window" in key or key == "attention_chunk_size":
        return min(value, WINDOW)
    if key in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"):
        return min(value, POSITIONS)
    return value


def _rope(value: Any) -> Any:
    """Returns `rope_parameters` whose model was trained on a few positions, also where they stand per kind of layer."""
    if not isinstance(value, dict):
        return value
    shorter = {key: _rope(inner) for key, inner in value.items()}
    if isinstance(shorter.get(_PRETRAINED), int):
        shorter[_PRETRAINED] = min(shorter[_PRETRAINED], WINDOW)
    return shorter


def _token(key: str, value: Any, vocabulary: int) -> Any:
    """Returns a token id that the small vocabulary has; which one is a matter of generating, not of the model."""
    if not key.endswith("_token_id"):
        return value
    inside = isinstance(value, int) and not isinstance(value, bool) and value < vocabulary
    return value if inside or value is None else vocabulary - 1


def parameters_of(model: Any) -> int:
    """Returns how many parameters a model has."""
    return sum(math.prod(parameter.shape) for parameter in model.parameters())
