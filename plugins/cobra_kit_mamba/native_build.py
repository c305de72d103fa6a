"""Compiles the C kernels (`c/`) on first use into the user's cache, so that any number of processes may do it at once.

A library's name is `<key>-<digest>.so`. The key covers the source, the flags, the compiler and the processor, so
another machine's library is never taken; the digest is the file's own SHA-256, so a damaged one is never loaded
(loading a truncated library may kill the process). Anybody can compute both, so a library is only loaded where nobody
but this user and root could have put it. It is built in a folder of its own, tried in a child process, and renamed into
place.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import platform
import stat
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

from cobra_kit.files import Distrust, code_cache, distrust, make_private
from cobra_kit.processes import run_command
from cobra_kit_mamba.compilers import (
    INSTRUCTION_SETS,
    OTHER_COMPILER,
    BuildError,
    Compiler,
    complaint,
    find_compilers,
    wanted_isa,
)

logger = logging.getLogger("cobra_kit.mamba")

T = TypeVar("T")
Flags = tuple[str, ...]

_COMMON: Flags = ("-O3", "-shared", "-fPIC")
_OPENMP = "-fopenmp"
_COMPILE_SECONDS, _TRY_SECONDS = 120.0, 30.0  # for a compiler, or a library, that hangs
_TRY = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).cobra_smoke())"


@dataclass(frozen=True, slots=True)
class Built:
    """The compiler and the flags that a library was made with.

    Args:
        compiler: The compiler that made it.
        flags: The flags that it was compiled with.
    """

    compiler: Compiler
    flags: Flags

    @property
    def threaded(self) -> bool:
        """Returns whether the kernels run on more than one thread."""
        return _OPENMP in self.flags


def cache_folder() -> Path:
    """Returns the folder of compiled kernels; it need not exist."""
    return code_cache() / "mamba"


def with_library(use: Callable[[Path], T]) -> tuple[T, Built]:
    """Calls `use` with the path of the compiled library and returns its result and how the library was made.

    Where the cache cannot be written, or others can write in it, the library is compiled for this process only, and a
    line is logged.

    Raises:
        BuildError: There is no compiler, none that makes a library that runs, or nowhere to put one.
        KernelError: `COBRA_KIT_MAMBA_ISA` has an unknown value.
    """
    wanted_isa()
    sources, compilers = c_sources(), list(find_compilers())
    keys = [library_keys(sources, compiler) for compiler in compilers]
    folder = Path(os.path.realpath(cache_folder()))  # what is looked at is what is loaded: a link may change meanwhile
    distrusted = distrust(folder)
    for compiler, named in zip(compilers, keys, strict=True):
        for flags, key in named.items() if distrusted is None else ():
            if path := _cached(folder, key):
                return use(path), Built(compiler, flags)
    problems = []
    for compiler, named in zip(compilers, keys, strict=True):
        try:
            return _build(sources, compiler, named, use, folder, distrusted)
        except BuildError as error:
            problems.append(error)
    raise problems[0]  # of the compiler that is meant before the others


def flag_sets() -> tuple[Flags, ...]:
    """Returns the flags to try, in this order; without OpenMP, where the compiler has none, there is one thread."""
    flags = (*_COMMON, *INSTRUCTION_SETS[wanted_isa()])
    return (*flags, _OPENMP), flags


def library_keys(sources: Mapping[str, bytes], compiler: Compiler) -> dict[Flags, str]:
    """Returns per set of flags what the name of a library of these sources begins with on this machine."""
    return {flags: _key(sources, flags, compiler) for flags in flag_sets()}


def c_sources() -> dict[str, bytes]:
    """Returns the C files by name, in the order of their names."""
    files = resources.files("cobra_kit_mamba").joinpath("c").iterdir()
    kernels = (file for file in files if file.name.endswith((".c", ".h")))
    return {file.name: file.read_bytes() for file in sorted(kernels, key=lambda file: file.name)}


def _cached(folder: Path, key: str) -> Path | None:
    """Returns a whole library of this key that nobody else could have put there, if there is one."""
    for path in sorted(folder.glob(f"{key}-*.so")):
        try:
            if (problem := _distrust_file(path)) is not None:
                logger.warning("the cached kernel %s is not loaded (%s) and is built again", path, problem)
                continue
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            continue  # another process or user took it away
        if path.name == f"{key}-{digest}.so":
            return path
        logger.warning("the cached kernel %s is damaged and is built again", path)
    return None


def _distrust_file(path: Path) -> str | None:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return "it is no regular file"
    problem = distrust(path)
    return None if problem is None else problem.reason


def _build(
    sources: Mapping[str, bytes],
    compiler: Compiler,
    keys: Mapping[Flags, str],
    use: Callable[[Path], T],
    folder: Path,
    distrusted: Distrust | None,
) -> tuple[T, Built]:
    """Compiles into the cache, or where that cannot be written or trusted into a folder of this process."""
    if distrusted is not None:
        verdict, reason, remedy = "is not used", distrusted.reason, distrusted.remedy
    else:
        try:
            path, flags = _build_in_cache(sources, compiler, keys, folder)
        except OSError as error:
            verdict, reason = "cannot be written", error.strerror or str(error)
            remedy = "set COBRA_KIT_CACHE to a folder that can be"
        else:
            return use(path), Built(compiler, flags)
    with contextlib.ExitStack() as stack:
        try:
            private = tempfile.TemporaryDirectory(prefix="cobra-kit-", ignore_cleanup_errors=True)
            place = Path(os.path.realpath(stack.enter_context(private)))
            if (problem := distrust(place)) is not None:
                raise BuildError(
                    f"there is nowhere to compile: {folder}: {reason}; elsewhere: {problem.reason}",
                    "set TMPDIR to a folder of your own",
                )
            path, flags = _compile(sources, compiler, place)
        except OSError as error:
            nowhere = f"there is nowhere to compile: {folder}: {reason}; elsewhere: {error.strerror or error}"
            remedy = "set COBRA_KIT_CACHE to a folder that can be written, with 1 MB to spare"
            raise BuildError(nowhere, remedy) from error
        used = use(path)  # loaded, a library needs its file no longer
    logger.warning("the kernel cache %s %s (%s): compiling for this process only; %s", folder, verdict, reason, remedy)
    return used, Built(compiler, flags)


def _build_in_cache(
    sources: Mapping[str, bytes], compiler: Compiler, keys: Mapping[Flags, str], folder: Path
) -> tuple[Path, Flags]:
    make_private(folder)
    if (problem := distrust(folder)) is not None:  # somebody was faster than we
        raise PermissionError(errno.EACCES, problem.reason)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder, ignore_cleanup_errors=True) as work:
        path, flags = _compile(sources, compiler, Path(work))
        path.chmod(0o755)  # whatever the umask allows
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return path.replace(folder / f"{keys[flags]}-{digest}.so"), flags


def _compile(sources: Mapping[str, bytes], compiler: Compiler, folder: Path) -> tuple[Path, Flags]:
    """Returns a library that has run once, and the flags it was compiled with."""
    path = folder / "kernels.so"
    problem = ""
    for flags in flag_sets():
        for name, source in sources.items():  # each time: a compiler may do anything to its input
            (folder / name).write_bytes(source)
        files = [str(folder / name) for name in sources if name.endswith(".c")]
        made = run_command([*compiler.command, *flags, *files, "-o", str(path), "-lm"], _COMPILE_SECONDS)
        if made.returncode != 0:
            problem = f"{compiler.title} failed: {complaint(made.stderr)}"
            if "No space left on device" in made.stderr:
                raise OSError(28, "No space left on device", str(folder))
            if made.returncode == -1:
                break  # it hangs or cannot be started, whatever the flags
            continue
        tried = run_command([sys.executable, "-I", "-S", "-c", _TRY, str(path)], _TRY_SECONDS)
        if tried.returncode == 0:
            return path, flags
        problem = f"the compiled library does not run (exit status {tried.returncode}: {complaint(tried.stderr)})"
    raise BuildError(problem, OTHER_COMPILER)


def _key(sources: Mapping[str, bytes], flags: Flags, compiler: Compiler) -> str:
    named = [part for name, source in sources.items() for part in (name.encode(), source)]
    made_by = os.fsencode("\0".join((*flags, *compiler.command)))  # a path need not be UTF-8
    parts = [*named, made_by, compiler.version.encode(), _processor().encode()]
    return hashlib.sha256(b"\0\0".join(parts)).hexdigest()[:32]


def _processor() -> str:
    """Returns the processor's model and features: what `-march=native` depends on."""
    wanted = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "\n".join((platform.machine(), platform.processor(), platform.node()))
    return "\n".join((platform.machine(), *sorted({line for line in lines if line.startswith(wanted)})))
