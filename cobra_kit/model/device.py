"""Devices and floating-point types as a user names them."""

from __future__ import annotations

import torch

from cobra_kit.errors import ArgumentError, CobraError, first_line, kind_of
from cobra_kit.formatting import suggest
from cobra_kit.machine import computes_bfloat16

AUTO = "auto"
_DEVICE_HINT = "Such as 'cpu', 'cuda' or 'cuda:1'; 'cpu' works everywhere."
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""What models compute in, by name."""


def device_named(name: str) -> torch.device:
    """Returns the device that `auto`, `cpu`, `cuda` or `cuda:1` stands for; auto: a GPU where torch sees one.

    Raises:
        CobraError: There is no such device.
    """
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise CobraError(f"no device named {name!r}", where="--device", hint="Devices: auto, cpu, cuda, cuda:1.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise CobraError(
            "torch sees no GPU",
            where=f"--device {name}",
            hint="`nvidia-smi` and `python -m torch.utils.collect_env` tell why. `--device cpu` works everywhere.",
        )
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise CobraError(f"torch sees {torch.cuda.device_count()} GPU(s), counted from 0", where=f"--device {name}")
    return torch.device(name)


def usable_device(device: object) -> torch.device:
    """Returns a device that a caller of the library names, as torch names it.

    Raises:
        ArgumentError: torch knows no such device, or cannot use it here.
    """
    if not isinstance(device, str | torch.device):
        raise ArgumentError(f"device must be a torch.device or its name, not {kind_of(device)}", hint=_DEVICE_HINT)
    try:
        wanted = torch.device(device)
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        reason = first_line(error)
        raise ArgumentError(f"device {str(device)!r} cannot be used here: {reason}", hint=_DEVICE_HINT) from error
    return wanted


def floating_dtype(dtype: object, name: str = "dtype") -> torch.dtype:
    """Returns a floating-point type that a caller of the library names, as torch's own object or as `bfloat16`.

    Raises:
        ArgumentError: The object or text is no floating-point type.
    """
    wanted = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if not isinstance(wanted, torch.dtype) or not wanted.is_floating_point:
        shown = str(dtype) if isinstance(dtype, torch.dtype) else kind_of(dtype)
        raise ArgumentError(f"{name} must be a floating-point type, not {shown}", hint="Such as torch.bfloat16.")
    return wanted


def dtype_named(name: str, device: torch.device) -> torch.dtype:
    """Returns the floating-point type of that name.

    Raises:
        CobraError: It is unknown, or the device does not compute in it.
    """
    if name not in DTYPES:
        raise CobraError(f"no dtype named {name!r}", where="--dtype", hint=suggest(name, DTYPES, what="dtypes"))
    if name == "bfloat16" and (obstacle := bfloat16_obstacle(device)) is not None:
        raise CobraError(
            obstacle,
            where="--dtype bfloat16",
            hint="Use float16 or float32; bfloat16 begins with compute capability 8.0.",
        )
    return DTYPES[name]


def bfloat16_obstacle(device: torch.device) -> str | None:
    """Returns why a device does not compute in bfloat16, or None if it does."""
    if device.type != "cuda":
        return None
    major, minor = torch.cuda.get_device_capability(device)
    if computes_bfloat16(major, minor):
        return None
    return f"{torch.cuda.get_device_name(device)} (compute capability {major}.{minor}) is too old for bfloat16"
