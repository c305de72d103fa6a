"""Compiles the C kernels (`c/`) on first use into the user's cache, so that any number of processes may do it at once.

A library's name is `<key>-<digest>.so`. The key covers the source, the flags, the compiler and the processor, so
another machine's library is never taken; the digest is the file's own SHA-256, so a damaged one is never loaded
(loading a truncated library may kill the process). A library is built in a folder of its own, tried in a child
process, and renamed into place.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

from cobra_kit.store import user_cache

logger = logging.getLogger("cobra_kit.mamba")

T = TypeVar("T")

_COMMON: tuple[str, ...] = ("-O3", "-march=native", "-shared", "-fPIC")
FLAG_SETS: tuple[tuple[str, ...], ...] = ((*_COMMON, "-fopenmp"), _COMMON)
"""Tried in this order; without OpenMP, where the compiler has none, the kernels run on one thread."""

_TIMEOUT = 120.0  # seconds, for a compiler that hangs
_TRY = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).cobra_smoke())"


class BuildError(Exception):
    """The library cannot be built here.

    Args:
        reason: Why, in one line.
        remedy: What would help.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: its command and what it says about its version."""

    command: tuple[str, ...]
    version: str

    @property
    def title(self) -> str:
        """Returns the first line of the version."""
        return (self.version.splitlines() or ["unknown compiler"])[0]


def cache_folder() -> Path:
    """Returns the folder of compiled kernels; it need not exist."""
    return user_cache() / "mamba"


def find_compiler() -> Compiler:
    """Returns the compiler of `CC`, or the first of cc, gcc and clang.

    Raises:
        BuildError: There is none, or it does not run.
    """
    remedy = "install a C compiler (such as the package gcc), or name one in the environment variable CC"
    candidates = [shlex.split(os.environ["CC"])] if os.environ.get("CC") else [["cc"], ["gcc"], ["clang"]]
    for command in candidates:
        if command and shutil.which(command[0]):
            version = _run([*command, "--version"])
            if version.returncode == 0:
                return Compiler(tuple(command), version.stdout)
    names = ", ".join(" ".join(command) for command in candidates)
    raise BuildError(f"no working C compiler ({names})", remedy)


def with_library(use: Callable[[Path], T]) -> tuple[T, Compiler, tuple[str, ...]]:
    """Calls `use` with the path of the compiled library and returns its result, the compiler and its flags.

    Where the cache cannot be written, the library is compiled for this process only, and a line is logged.

    Raises:
        BuildError: There is no compiler, or what it makes does not run.
    """
    compiler = find_compiler()
    sources = c_sources()
    folder = cache_folder()
    keys = library_keys(sources, compiler)
    for flags, key in keys.items():
        if path := _cached(folder, key):
            return use(path), compiler, flags
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=".build-", dir=folder)
    except OSError as error:
        logger.warning(
            "the kernel cache %s cannot be written (%s): compiling for this process only; "
            "set COBRA_KIT_CACHE to a folder that can be",
            folder,
            error.strerror or error,
        )
        with tempfile.TemporaryDirectory(prefix="cobra-kit-") as private:
            path, flags = _compile(sources, compiler, Path(private))
            return use(path), compiler, flags
    with work:
        path, flags = _compile(sources, compiler, Path(work.name))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path = path.replace(folder / f"{keys[flags]}-{digest}.so")
    return use(path), compiler, flags


def library_keys(sources: Mapping[str, bytes], compiler: Compiler) -> dict[tuple[str, ...], str]:
    """Returns per set of flags what the name of a library of these sources begins with on this machine."""
    return {flags: _key(sources, flags, compiler) for flags in FLAG_SETS}


def _cached(folder: Path, key: str) -> Path | None:
    """Returns a whole library of this key, if there is one."""
    for path in sorted(folder.glob(f"{key}-*.so")):
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            continue  # another process or user took it away
        if path.name == f"{key}-{digest}.so":
            return path
        logger.warning("the cached kernel %s is damaged and is built again", path)
    return None


def c_sources() -> dict[str, bytes]:
    """Returns the C files by name, in the order of their names."""
    files = resources.files("cobra_kit_mamba").joinpath("c").iterdir()
    kernels = (file for file in files if file.name.endswith((".c", ".h")))
    return {file.name: file.read_bytes() for file in sorted(kernels, key=lambda file: file.name)}


def _compile(sources: Mapping[str, bytes], compiler: Compiler, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Returns a library that has run once, and the flags it was compiled with."""
    path = folder / "kernels.so"
    for name, source in sources.items():
        (folder / name).write_bytes(source)
    files = [str(folder / name) for name in sources if name.endswith(".c")]
    problem = ""
    for flags in FLAG_SETS:
        made = _run([*compiler.command, *flags, *files, "-o", str(path), "-lm"])
        if made.returncode != 0:
            problem = f"{compiler.title} failed: {_last_line(made.stderr)}"
            continue
        tried = _run([sys.executable, "-I", "-S", "-c", _TRY, str(path)])
        if tried.returncode == 0:
            return path, flags
        problem = f"the compiled library does not run (exit status {tried.returncode}: {_last_line(tried.stderr)})"
    raise BuildError(problem, "name another compiler in the environment variable CC")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, returncode=-1, stdout="", stderr=str(error))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def _key(sources: Mapping[str, bytes], flags: tuple[str, ...], compiler: Compiler) -> str:
    named = [part for name, source in sources.items() for part in (name.encode(), source)]
    parts = [*named, "\0".join((*flags, *compiler.command)).encode(), compiler.version.encode(), _processor().encode()]
    return hashlib.sha256(b"\0\0".join(parts)).hexdigest()[:32]


def _processor() -> str:
    """Returns the processor's model and features: what `-march=native` depends on."""
    wanted = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "\n".join((platform.machine(), platform.processor(), platform.node()))
    return "\n".join((platform.machine(), *sorted({line for line in lines if line.startswith(wanted)})))
