"""The C compilers of this machine, and the instruction set that the kernels are compiled for.

Nothing a compiler does ends in anything but `BuildError`: it may be missing, hang, crash, or write anything at all.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from cobra_kit.errors import KernelError
from cobra_kit.processes import run_command

ISA_SWITCH = "COBRA_KIT_MAMBA_ISA"
INSTRUCTION_SETS: dict[str, tuple[str, ...]] = {
    "native": ("-march=native",),
    "avx2": ("-mavx2", "-mfma"),
    "plain": (),
}
"""Values of the switch and their flags: all that this processor has; AVX2 at most; what every processor of its kind has
(SSE2 on x86-64). Sums are of other lengths in each, so results differ in their last digits."""

OTHER_COMPILER = "name another compiler in the environment variable CC"
_ANY_COMPILER = "install a C compiler (such as the package gcc), or name one in the environment variable CC"
_VERSION_SECONDS = 15.0  # for a compiler that hangs


class BuildError(Exception):
    """The library cannot be built here.

    Args:
        reason: Why, in one line.
        remedy: The action that would help.
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
        return next((line.strip() for line in self.version.splitlines() if line.strip()), "unknown compiler")

    @property
    def line(self) -> str:
        """Returns the command as one would type it."""
        return _printable(shlex.join(self.command))


def wanted_isa() -> str:
    """Returns the value of `COBRA_KIT_MAMBA_ISA`, `native` where it is unset.

    Raises:
        KernelError: The value is none that is known.
    """
    wanted = os.environ.get(ISA_SWITCH) or "native"
    if wanted not in INSTRUCTION_SETS:
        known = ", ".join(INSTRUCTION_SETS)
        raise KernelError(f"{ISA_SWITCH} is {_printable(wanted)!r}", hint=f"set it to one of {known}, or unset it")
    return wanted


def find_compilers() -> Iterator[Compiler]:
    """Yields the compiler of `CC`, or those of cc, gcc and clang that run.

    Raises:
        BuildError: There is none; before anything is yielded.
    """
    candidates = _named_in_cc() or [["cc"], ["gcc"], ["clang"]]
    any_runs = False
    for command in candidates:
        if command[0] and shutil.which(command[0]):
            version = run_command([*command, "--version"], _VERSION_SECONDS)
            if version.returncode == 0:
                any_runs = True
                yield Compiler(tuple(command), version.stdout)
    if not any_runs:
        names = _printable(", ".join(shlex.join(command) for command in candidates))
        raise BuildError(f"no working C compiler ({names})", _ANY_COMPILER)


def _named_in_cc() -> list[list[str]]:
    """Returns the command of `CC`: a path as it stands, blanks and quotes included, else words as a shell has them."""
    named = os.environ.get("CC", "").strip()
    if not named:
        return []
    if shutil.which(named):
        return [[named]]
    try:
        return [shlex.split(named)]
    except ValueError as error:
        reason = f"the environment variable CC is no command: {str(error).lower()} in {_printable(named)}"
        raise BuildError(reason, "quote it as a shell wants it, or name the compiler's path alone") from error


def complaint(text: str) -> str:
    """Returns the line of a compiler's messages that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and not line.startswith("collect2:")]
    return next(iter(errors or lines[-1:]), "no message")


def _printable(text: str) -> str:
    """Returns the text with a question mark for every byte that is no UTF-8: a terminal or a log would stumble."""
    return text.encode("utf-8", "replace").decode()
