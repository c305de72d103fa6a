"""The answers of `cobra-kit doctor` on the C kernels: the compiler, and the libraries that it made."""

from __future__ import annotations

from collections.abc import Iterator

from cobra_kit.files import distrust
from cobra_kit.plugin import Diagnosis
from cobra_kit_mamba.compilers import ISA_SWITCH, BuildError, Compiler, find_compilers, wanted_isa
from cobra_kit_mamba.native_build import c_sources, cache_folder, library_keys


def native_kernels() -> Iterator[Diagnosis]:
    """Yields the C compiler and the compiled kernels in the cache; compiles nothing."""
    try:
        compiler = next(find_compilers())
    except BuildError as error:
        yield Diagnosis("C compiler", error.reason, error.remedy)
        yield _libraries(None)
        return
    yield Diagnosis("C compiler", f"{compiler.title} ({compiler.line})")
    if (isa := wanted_isa()) != "native":
        yield Diagnosis("instruction set", f"{isa}, by {ISA_SWITCH}", f"unset {ISA_SWITCH}")
    yield _libraries(compiler)


def _libraries(compiler: Compiler | None) -> Diagnosis:
    folder = cache_folder()
    if (problem := distrust(folder)) is not None:
        return Diagnosis(
            "compiled kernels", f"{folder} is not used, each process compiles: {problem.reason}", problem.remedy
        )
    names = [path.name for path in folder.glob("*.so")] if folder.is_dir() else []
    keys = () if compiler is None else tuple(library_keys(c_sources(), compiler).values())
    own = [name for name in names if name.startswith(keys)] if keys else []
    size = sum(path.stat().st_size for path in folder.glob("*.so") if path.is_file()) if names else 0
    others = len(names) - len(own)
    summary = f"{len(own)} for this machine, {others} of other machines, compilers or versions, {size / 1e6:.1f} MB"
    return Diagnosis("compiled kernels", f"{folder}: {summary}" if names else f"{folder}: none yet")
