"""Loads the Triton kernels, tries them once per device against PyTorch, and says why where they cannot be used.

What can go wrong shows at the first launch: Triton needs a C compiler for its launcher, ptxas must know the GPU, the
cache must be writable. That launch is the self-check's, so it costs a line of the log and not a run.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import torch

from cobra_kit_mamba.triton_cache import secure_triton_cache

logger = logging.getLogger("cobra_kit.mamba")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The Triton kernels on one device.

    Args:
        usable: Whether they passed the comparison with the reference.
        reason: The version of Triton, or why they cannot be used.
        remedy: The action that would help, or None.
    """

    usable: bool
    reason: str
    remedy: str | None = None


_lock = threading.Lock()
_loaded: dict[torch.device, Loaded] = {}


def load_triton(device: torch.device) -> Loaded:
    """Returns the kernels of a device, compiled and checked on the first call; logs one line where there are none."""
    if device not in _loaded:
        with _lock:
            if device not in _loaded:
                _loaded[device] = _load(device)
    return _loaded[device]


def _load(device: torch.device) -> Loaded:
    try:
        import triton

        from cobra_kit_mamba import triton_ops
        from cobra_kit_mamba.triton_kernels.device import interpreted
    except Exception as error:  # a broken installation may raise anything
        return _without(
            f"Triton cannot be imported ({_error_text(error)})",
            "install the package triton of the version that torch names",
        )
    if device.type == "cpu" and not interpreted():
        return Loaded(False, "Triton was imported before TRITON_INTERPRET was set", "set it before Python starts")
    secure_triton_cache()
    problem = _check_apart(device)
    if problem is not None:
        return _without(*problem)
    triton_ops.register()
    how = "in its interpreter" if interpreted() else f"on {torch.cuda.get_device_name(device)}"
    return Loaded(True, f"Triton {triton.__version__} {how}")


def _without(reason: str, remedy: str) -> Loaded:
    logger.warning("Mamba runs without its Triton kernels, many times slower: %s. Remedy: %s", reason, remedy)
    return Loaded(False, reason, remedy)


def _check_apart(device: torch.device) -> tuple[str, str] | None:
    """Runs the self-check in a thread of its own: inference mode, autocast and streams are per thread."""
    from cobra_kit_mamba.triton_check import check

    obstacles: list[tuple[str, str] | None] = []

    def run() -> None:
        try:
            wrong = check(device)
            obstacles.append(None if wrong is None else (wrong, "update triton, and report this"))
        except Exception as error:
            remedy = "see that a C compiler is installed (CC names it) and the folder of TRITON_CACHE_DIR is writable"
            obstacles.append((f"the Triton kernels cannot be compiled or launched ({_error_text(error)})", remedy))

    thread = threading.Thread(target=run, name="cobra-kit-triton-check")
    thread.start()
    thread.join()
    return obstacles[0]


def _error_text(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__
