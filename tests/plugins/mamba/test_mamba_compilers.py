"""Compilers of every kind: named with blanks, quotes and arguments, missing, hanging, lying; and instruction sets."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cobra_kit.errors import KernelError
from cobra_kit_mamba import compilers, native, native_build
from cobra_kit_mamba.compilers import BuildError, complaint, find_compilers, wanted_isa
from cobra_kit_mamba.diagnostics import native_kernels
from cobra_kit_mamba.native_build import flag_sets, with_library

COMPILER = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler on this machine")
ANSWER = """
import logging, torch
logging.basicConfig(format="%(name)s %(message)s")
from cobra_kit_mamba.scan import selective_scan
from cobra_kit_mamba.selection import choose_scan
inputs = [torch.ones(1, 9, 8), torch.ones(1, 9, 8), -torch.ones(8, 4), torch.ones(1, 9, 4), torch.ones(1, 9, 4)]
y = selective_scan(*inputs), selective_scan(*inputs)
assert y[0].isfinite().all()
print(choose_scan(torch.device("cpu"), torch.float32, 4).kernel)
"""


@pytest.fixture(autouse=True)
def _no_switches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(compilers.ISA_SWITCH, raising=False)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder whose name would be several words, or none, to a shell."""
    folder = tmp_path / 'it\'s "here" $HOME (1)'
    folder.mkdir()
    return folder


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def named(monkeypatch: pytest.MonkeyPatch, value: str) -> list[tuple[str, ...]]:
    monkeypatch.setenv("CC", value)
    return [compiler.command for compiler in find_compilers()]


def test_a_path_with_blanks_and_quotes_stands_as_it_is(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(script(odd / "my cc", "echo mycc 9"))
    assert named(monkeypatch, path) == [(path,)]
    assert named(monkeypatch, f"  {path} ") == [(path,)]


def test_words_are_those_of_a_shell(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(script(odd / "my cc", "echo mycc 9"))
    assert named(monkeypatch, f"{shlex.quote(path)} -O1 '-DNAME=a b'") == [(path, "-O1", "-DNAME=a b")]
    monkeypatch.setenv("PATH", f"{odd}{os.pathsep}{os.environ['PATH']}")
    script(odd / "ccache", 'shift; exec echo "$@"')
    assert named(monkeypatch, "ccache gcc") == [("ccache", "gcc")]
    assert next(find_compilers()).line == "ccache gcc"


@pytest.mark.parametrize("value", ["/somewhere/it's here/gcc -O1", 'gcc -D"x', "gcc \\"])
def test_quotes_that_do_not_close_are_refused_with_words(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", value)
    with pytest.raises(BuildError, match="the environment variable CC is no command: no ") as caught:
        list(find_compilers())
    assert value in caught.value.reason
    assert caught.value.remedy == "quote it as a shell wants it, or name the compiler's path alone"
    (compiler, _) = native_kernels()
    assert compiler.found == caught.value.reason


@pytest.mark.parametrize("value", ["", "  ", "\t"])
def test_an_empty_variable_is_none(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers.shutil, "which", lambda name: "/bin/true" if name == "gcc" else None)
    monkeypatch.setattr(
        compilers, "run_command", lambda command, _: subprocess.CompletedProcess(command, 0, "a gcc", "")
    )
    assert named(monkeypatch, value) == [("gcc",)]


@pytest.mark.parametrize("value", ["/nonexistent", "''", "/", "/etc/passwd", "nosuchcompiler -O2", "caf\udce9"])
def test_what_is_no_compiler_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", value)
    with pytest.raises(BuildError, match=r"^no working C compiler \("):
        list(find_compilers())


@pytest.mark.parametrize(
    "text", ["kill -SEGV $$", "exit 3", "sleep 60", "printf '\\377\\376' ; exit 1", "exec nosuchprogram"]
)
def test_a_compiler_that_fails_at_once(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers, "_VERSION_SECONDS", 0.5)
    monkeypatch.setenv("CC", str(script(tmp_path / "mycc", text)))
    assert native._load().reason == f"no working C compiler ({tmp_path / 'mycc'})"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exit 0", "the compiled library does not run (exit status 1: OSError: "),
        ("sleep 60", "mycc 9 failed: it took longer than 1 seconds"),
        ("kill -SEGV $$", "mycc 9 failed: no message"),
        ("yes error: many words | head -c 3000000 >&2; exit 1", "mycc 9 failed: error: many words"),
        ('for a in "$@"; do out="$last"; last="$a"; done; echo junk > "$out"', "the compiled library does not run ("),
    ],
    ids=["makes nothing", "hangs", "crashes", "talks", "makes junk"],
)
def test_a_compiler_that_fails_later(
    text: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if "sleep" in text:  # the others may take as long as they need
        monkeypatch.setattr(native_build, "_COMPILE_SECONDS", 1.0)
    monkeypatch.setenv("CC", str(script(tmp_path / "mycc", f'[ "$1" = --version ] && echo mycc 9 && exit\n{text}')))
    begin = time.monotonic()
    loaded = native._load()
    assert (loaded.library, loaded.reason[: len(reason)]) == (None, reason)
    assert time.monotonic() - begin < 50, "one that hangs is not tried again"
    assert len(caplog.messages) == 1
    assert list((tmp_path / "cache" / "mamba").iterdir()) == []


@needs_compiler
def test_the_next_compiler_is_tried_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "cc", '[ "$1" = --version ] && echo broken cc && exit\nexit 1')
    (tmp_path / "gcc").symlink_to(str(COMPILER))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    _, built = with_library(lambda path: path)
    assert built.compiler.command == ("gcc",)


@needs_compiler
def test_odd_folders_for_compiler_cache_and_temporary_files(odd: Path) -> None:
    (odd / "my cc").symlink_to(str(COMPILER))
    variables = {**os.environ, "COBRA_KIT_CACHE": str(odd / "cache"), "TMPDIR": str(odd)}
    variables |= {"CC": f"{shlex.quote(str(odd / 'my cc'))} -O1", "COBRA_KIT_MAMBA_KERNEL": "auto"}
    done = subprocess.run([sys.executable, "-c", ANSWER], env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "native\n", "")
    assert len(list((odd / "cache" / "mamba").glob("*.so"))) == 1


@pytest.mark.parametrize("value", ["gcc -D'x", "false", "/nonexistent/gcc"])
def test_every_case_answers_and_says_so_once(value: str) -> None:
    variables = {**os.environ, "CC": value, "COBRA_KIT_MAMBA_KERNEL": "auto"}
    done = subprocess.run([sys.executable, "-c", ANSWER], env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "chunked\n"), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("cobra_kit.mamba Mamba runs without its C kernels, several times slower: ")


FULL = OSError(errno.ENOSPC, "No space left on device")


@needs_compiler
def test_a_full_disk_in_the_cache_costs_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compile_in = native_build._compile

    def full_in_the_cache(sources: Any, compiler: Any, folder: Path) -> Any:
        if tmp_path in folder.parents:
            raise FULL
        return compile_in(sources, compiler, folder)

    monkeypatch.setattr(native_build, "_compile", full_in_the_cache)
    assert native._load().library is not None
    assert caplog.messages == [
        f"the kernel cache {tmp_path}/cache/mamba cannot be written (No space left on device): compiling for this "
        "process only; set COBRA_KIT_CACHE to a folder that can be"
    ]


def raising(error: Exception) -> Callable[..., Any]:
    def function(*_: Any, **__: Any) -> Any:
        raise error

    return function


def test_disks_that_are_all_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CC", str(script(tmp_path / "mycc", "echo mycc 9")))
    monkeypatch.setattr(native_build, "_compile", raising(FULL))
    loaded = native._load()
    reason = "No space left on device"
    assert loaded.reason == f"there is nowhere to compile: {tmp_path}/cache/mamba: {reason}; elsewhere: {reason}"
    assert loaded.remedy == "set COBRA_KIT_CACHE to a folder that can be written, with 1 MB to spare"
    assert len(caplog.messages) == 1


def test_a_compiler_that_finds_the_disk_full_is_not_to_blame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[ "$1" = --version ] && echo mycc 9 && exit\necho "as: No space left on device" >&2; exit 1'
    monkeypatch.setenv("CC", str(script(tmp_path / "mycc", text)))
    assert native._load().reason.startswith("there is nowhere to compile: ")


def test_no_temporary_folder_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", str(script(tmp_path / "mycc", "echo mycc 9")))
    monkeypatch.setattr(native_build.tempfile, "TemporaryDirectory", raising(FileNotFoundError(2, "no such folder")))
    assert native._load().reason.endswith("/cache/mamba: no such folder; elsewhere: no such folder")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "no message"),
        ("scan.c:1: warning: odd\nscan.c:2: error: bad\n   2 | x\n     | ^\n", "scan.c:2: error: bad"),
        ("/usr/bin/ld: cannot find -lgomp\ncollect2: error: ld returned 1 exit status\n", "collect2: error: ld"),
    ],
)
def test_the_line_that_says_what_is_wrong(text: str, line: str) -> None:
    assert complaint(text).startswith(line)


# Instruction sets


def test_flags_of_the_instruction_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all("-march=native" in flags for flags in flag_sets())
    monkeypatch.setenv(compilers.ISA_SWITCH, "avx2")
    assert all("-mavx2" in flags and "-march=native" not in flags for flags in flag_sets())
    monkeypatch.setenv(compilers.ISA_SWITCH, "plain")
    assert not any(flag.startswith("-m") for flags in flag_sets() for flag in flags)


def test_an_unknown_instruction_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compilers.ISA_SWITCH, "AVX-1024")
    for refused in (wanted_isa, native._load, lambda: list(native_kernels())):
        with pytest.raises(KernelError, match=r"COBRA_KIT_MAMBA_ISA is 'AVX-1024'\n.*one of native, avx2, plain, or "):
            refused()


@needs_compiler
def test_a_held_instruction_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compilers.ISA_SWITCH, "plain")
    loaded = native._load()
    assert loaded.library is not None
    assert loaded.library.cobra_lanes() == 8
    assert loaded.reason.endswith(", held to plain by COBRA_KIT_MAMBA_ISA")
    assert loaded.remedy == "unset COBRA_KIT_MAMBA_ISA"
    diagnoses = {diagnosis.what: diagnosis for diagnosis in native_kernels()}
    assert diagnoses["instruction set"].found == "plain, by COBRA_KIT_MAMBA_ISA"
    assert "1 for this machine" in diagnoses["compiled kernels"].found
