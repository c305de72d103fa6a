"""Loads the C kernels once per process, checks them against PyTorch, and says why where they cannot be used."""

from __future__ import annotations

import ctypes
import logging
import threading
from dataclasses import dataclass

from cobra_kit_mamba.native_build import BuildError, with_library
from cobra_kit_mamba.native_calls import declare
from cobra_kit_mamba.self_check import self_check

logger = logging.getLogger("cobra_kit.mamba")


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
