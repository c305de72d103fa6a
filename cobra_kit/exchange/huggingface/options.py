"""The options that transformers' callers may give: done, or refused by name, never swallowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from cobra_kit.errors import CobraError

OF_THE_LOADER = frozenset(
    {
        "_commit_hash",
        "_from_auto",
        "_from_pipeline",
        "adapter_kwargs",
        "cache_dir",
        "code_revision",
        "force_download",
        "local_files_only",
        "low_cpu_mem_usage",
        "proxies",
        "subfolder",
        "token",
        "trust_remote_code",
        "use_safetensors",
    }
)
"""What says how transformers finds the files of a folder."""

_GREEDY = {"do_sample": False, "num_beams": 1, "use_cache": True}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)I?B", re.IGNORECASE)


def refuse(names: set[str], function: str, hint: str) -> None:
    """Raises a `CobraError` that names what a function does not take, if there is anything."""
    if names:
        raise CobraError(f"{function} of a cobra-kit model does not take {', '.join(sorted(names))}", hint=hint)


def unlike(options: Mapping[str, Any], accepted: Mapping[str, Any]) -> set[str]:
    """Returns the names of options that ask for something else than what happens anyway; None asks for nothing."""
    return {name for name, value in options.items() if value is not None and accepted.get(name) != value}


def refuse_generation(options: Mapping[str, Any], configured: Mapping[str, Any], eos: int) -> None:
    """Checks what `generate` is asked for, in the call and in the model's `generation_config`.

    Args:
        options: The options of the call.
        configured: What was changed in `generation_config`.
        eos: The token that ends answers, and pads them.

    Raises:
        CobraError: Something else than greedy answers is asked for.
    """
    accepted = {**_GREEDY, "eos_token_id": eos, "pad_token_id": eos}
    hint = (
        "It answers greedily. To sample or to stream take the model itself: "
        "model.model.generate(image, question, temperature=..), model.model.stream(..)."
    )
    refuse(unlike(options, accepted), "generate", hint)
    refuse({f"generation_config.{name}" for name in unlike(configured, accepted)}, "generate", hint)


def size_in_bytes(size: int | str) -> float:
    """Returns the bytes that `max_shard_size` means, such as 1000 or `5GB`.

    Raises:
        CobraError: The text or number is no size.
    """
    match = _SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if match:
        return float(match[1]) * float(1000 ** " KMGT".index(match[2].upper() or " "))
    if isinstance(size, int) and not isinstance(size, bool):
        return size
    raise CobraError(f"max_shard_size is no size: {size!r}", hint="Such as 5GB, or a number of bytes.")


def dtype_of(wanted: torch.dtype | str | None) -> torch.dtype | None:
    """Returns the type of weights that `dtype` names; None: as they were saved, which is what `auto` asks for.

    Raises:
        CobraError: There is no such floating-point type.
    """
    if wanted is None or wanted == "auto" or isinstance(wanted, torch.dtype):
        return wanted if isinstance(wanted, torch.dtype) else None
    dtype = getattr(torch, wanted.removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise CobraError(f"no floating-point dtype named {wanted!r}", hint="Such as bfloat16.")
    return dtype


def device_of(device_map: Any) -> torch.device:
    """Returns the one device that `device_map` names.

    Raises:
        CobraError: The map names several devices.
    """
    if device_map is None:
        return torch.device("cpu")
    if isinstance(device_map, dict):
        devices = set(device_map.values())
        if len(devices) != 1:
            raise CobraError(f"device_map names {len(devices)} devices; this model is on one", hint="device_map='cuda'")
        device_map = devices.pop()
    if device_map == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device_map)


def refused(function: str, hint: str) -> Any:
    """Returns a method that raises a `CobraError`: this model does not do it, and what works instead."""

    def method(self: Any, *_: Any, **__: Any) -> None:
        raise CobraError(f"a cobra-kit model has no {function}", hint=hint)

    method.__name__ = method.__qualname__ = function
    method.__doc__ = f"Raises a CobraError. {hint}"
    return method
