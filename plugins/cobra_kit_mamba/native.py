"""Loads the C kernels once per process, checks them against PyTorch, and says why where they cannot be used."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from dataclasses import dataclass

import torch

from cobra_kit_mamba.compilers import ISA_SWITCH, OTHER_COMPILER, BuildError, wanted_isa
from cobra_kit_mamba.native_build import with_library
from cobra_kit_mamba.native_calls import declare
from cobra_kit_mamba.self_check import self_check

logger = logging.getLogger("cobra_kit.mamba")


@dataclass(frozen=True, slots=True)
class Native:
    """The C kernels of this process.

    Args:
        library: The loaded library, or None where there is none to use.
        reason: What it was compiled with, or why there is none.
        remedy: The action that would help, or None.
    """

    library: ctypes.CDLL | None
    reason: str
    remedy: str | None = None


_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which the user says how threads wait for each other."""

_lock = threading.Lock()
_native: Native | None = None
_waiting = False  # whether how threads wait has been settled


def load_native() -> Native:
    """Returns the C kernels, compiled and checked on the first call; logs one line where there are none.

    Raises:
        KernelError: `COBRA_KIT_MAMBA_ISA` had an unknown value at the first call.
    """
    global _native
    if _native is None:
        with _lock:
            if _native is None:
                _native = _load()
    return _native


def wait_briefly(library: ctypes.CDLL) -> None:
    """Makes threads that wait for each other sleep soon, once there are several; see waiting.c.

    Nothing is done where the user has said how they wait.
    """
    global _waiting
    if _waiting or torch.get_num_threads() == 1:
        return
    with _lock:
        if not _waiting and not any(name in os.environ for name in _WAITING):
            library.cobra_wait_briefly(torch.get_num_threads())
        _waiting = True


def _load() -> Native:
    try:
        library, built = with_library(lambda path: declare(ctypes.CDLL(str(path))))
        problem = _check_apart(library)
    except BuildError as error:
        return _without(error.reason, error.remedy)
    except (OSError, AttributeError) as error:  # a library that does not load, or lacks a function
        return _without(str(error), OTHER_COMPILER)
    if problem is not None:
        return _without(problem, f"{OTHER_COMPILER}, and report this")
    threads = "" if built.threaded else ", without OpenMP: one thread"
    isa = wanted_isa()
    held = f", held to {isa} by {ISA_SWITCH}" if isa != "native" else ""
    return Native(
        library, f"compiled by {built.compiler.title}{threads}{held}", f"unset {ISA_SWITCH}" if held else None
    )


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
