"""Loads the C kernels once per process, checks them against PyTorch, and says why where they cannot be used."""

from __future__ import annotations

import ctypes
import logging
import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from cobra_kit_mamba.conv_reference import reference_conv
from cobra_kit_mamba.native_build import BuildError, with_library
from cobra_kit_mamba.native_ops import TAPS, declare, native_conv, native_scan
from cobra_kit_mamba.scan_chunked import chunked_scan

logger = logging.getLogger("cobra_kit.mamba")

TOLERANCE = 1e-5
"""Largest error of the self-check, relative to the largest value: ten times what sound kernels show."""


@dataclass(frozen=True, slots=True)
class Native:
    """The C kernels of this process.

    Args:
        library: The loaded library, or None where there is none to use.
        reason: What it was compiled with, or why there is none.
        remedy: What would help, or None.
    """

    library: ctypes.CDLL | None
    reason: str
    remedy: str | None = None


_lock = threading.Lock()
_native: Native | None = None


def load_native() -> Native:
    """Returns the C kernels, compiled and checked on the first call; logs one line where there are none."""
    global _native
    if _native is None:
        with _lock:
            if _native is None:
                _native = _load()
    return _native


def _load() -> Native:
    try:
        library, compiler, flags = with_library(lambda path: declare(ctypes.CDLL(str(path))))
        problem = _check_apart(library)
    except BuildError as error:
        return _without(error.reason, error.remedy)
    except (OSError, AttributeError) as error:  # a library that does not load, or lacks a function
        return _without(str(error), "name another compiler in the environment variable CC")
    if problem is not None:
        return _without(problem, "name another compiler in the environment variable CC, and report this")
    threads = "" if "-fopenmp" in flags else ", without OpenMP: one thread"
    return Native(library, f"compiled by {compiler.title}{threads}")


def _without(reason: str, remedy: str) -> Native:
    logger.warning("Mamba runs without its C kernels, several times slower: %s. Remedy: %s", reason, remedy)
    return Native(None, reason, remedy)


def _check_apart(library: ctypes.CDLL) -> str | None:
    """Runs the self-check in a thread of its own: inference mode, autocast and default devices are per thread."""
    result: list[str | None] = []

    def run() -> None:
        try:
            result.append(self_check(library))
        except Exception as error:
            result.append(f"the self-check of the C kernels broke off: {type(error).__name__}: {error}")

    thread = threading.Thread(target=run, name="cobra-kit-self-check")
    thread.start()
    thread.join()
    return result[0]


def self_check(library: ctypes.CDLL) -> str | None:
    """Returns what is wrong with the library's results on small random numbers, or None: outputs and gradients."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        values = torch.randn(*shape, generator=generator, dtype=torch.float32, device="cpu")
        return values.requires_grad_()

    rows, length, channels, d_state = 2, 19, 72, 6
    wide, narrow = (rows, length, channels), (rows, length, d_state)
    scan = [random(*wide), random(*wide), random(channels, d_state), random(*narrow), random(*narrow)]
    scan += [random(channels), random(*wide), random(channels), random(rows, channels, d_state)]
    with torch.no_grad():
        scan[2].abs_().neg_()
    conv = [random(*wide), random(channels, TAPS), random(channels)]
    results = {
        "scan": (native_scan(library, *scan), chunked_scan(*scan), scan),
        "convolution": ((native_conv(library, *conv),), (reference_conv(*conv),), conv),
    }
    for name, (ours, theirs, inputs) in results.items():
        weights = [random(*y.shape).detach() for y in theirs]
        our_grads, their_grads = (torch.autograd.grad(ys, inputs, weights) for ys in (ours, theirs))
        pairs = zip((*ours, *our_grads), (*theirs, *their_grads), strict=True)
        error = max(float(((a - b).abs().max() / b.abs().max()).detach()) for a, b in pairs)
        if not error <= TOLERANCE:  # NaN too
            return f"the C {name} failed its self-check: relative error {error:.1e}, allowed {TOLERANCE:.0e}"
    return None
