"""Compiling, caching and distrusting the C kernels."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cobra_kit_mamba import native, native_build, native_calls, native_decode
from cobra_kit_mamba.native_build import cache_folder, with_library
from cobra_kit_mamba.scan import selective_scan

COMPILER = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler on this machine")

# The build needs no torch, so a process of its own is cheap.
BUILD = """
from cobra_kit_mamba.native_build import with_library
print(with_library(lambda path: path)[0])
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds a library."""
    cache = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(cache))
        with_library(lambda path: path)
    return cache


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Makes a folder the cache."""
    monkeypatch.delenv("CC", raising=False)

    def set_cache(folder: Path) -> Path:
        monkeypatch.setenv("COBRA_KIT_CACHE", str(folder))
        return folder

    return set_cache


@pytest.fixture
def cache(built: Path, tmp_path: Path, use: Callable[[Path], Path]) -> Path:
    """A cache in use that is a copy of the one with a library."""
    return use(Path(shutil.copytree(built, tmp_path / "cache")))


@pytest.fixture
def empty(tmp_path: Path, use: Callable[[Path], Path]) -> Path:
    """A cache in use that does not exist yet."""
    return use(tmp_path / "cache")


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: Path) -> Callable[[str], None]:
    """Puts a shell script in the compiler's place."""

    def replace(script: str) -> None:
        path = tmp_path / "mycc"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))

    return replace


def files(cache: Path) -> list[Path]:
    return sorted((cache / "mamba").iterdir())


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "cobra_kit.mamba"]


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"XDG_CACHE_HOME": "xdg"}, "xdg/cobra-kit/mamba"),
        ({"HOME": "home"}, "home/.cache/cobra-kit/mamba"),
        ({"HOME": "home", "XDG_CACHE_HOME": "xdg", "COBRA_KIT_CACHE": "own"}, "own/mamba"),
    ],
    ids=["xdg", "home", "own"],
)
def test_place_of_the_cache(
    variables: dict[str, str], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COBRA_KIT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    assert cache_folder() == tmp_path / place


@needs_compiler
def test_first_use_compiles_and_the_second_does_not(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    (library,) = files(cache)  # nothing half made is left beside it
    made = library.stat().st_mtime_ns
    loaded = native._load()
    assert loaded.library is not None
    assert loaded.reason.startswith("compiled by ")
    assert files(cache) == [library]
    assert library.stat().st_mtime_ns == made
    assert lines(caplog) == []


def test_no_compiler_falls_back_with_one_line(tmp_path: Path) -> None:
    program = """
import logging
logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
import torch
from cobra_kit_mamba.scan import selective_scan
from cobra_kit_mamba.scan_reference import sequential_scan
inputs = [torch.randn(1, 9, 8), torch.randn(1, 9, 8), -torch.rand(8, 4), torch.randn(1, 9, 4), torch.randn(1, 9, 4)]
for _ in range(2):
    torch.testing.assert_close(selective_scan(*inputs), sequential_scan(*inputs)[0])
"""
    variables = {**os.environ, "PATH": "", "COBRA_KIT_CACHE": str(tmp_path), "COBRA_KIT_MAMBA_KERNEL": "auto"}
    variables.pop("CC", None)
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("cobra_kit")] == [
        "cobra_kit.mamba WARNING Mamba runs without its C kernels, several times slower: no working C compiler "
        "(cc, gcc, clang). Remedy: install a C compiler (such as the package gcc), or name one in the environment "
        "variable CC"
    ]
    assert list(tmp_path.iterdir()) == []


def test_what_the_compiler_says_is_quoted(
    compiler: Callable[[str], None], empty: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compiler('[ "$1" = --version ] && echo mycc 9 && exit 0\necho "scan.c:1: out of luck" >&2\nexit 1')
    loaded = native._load()
    assert loaded.library is None
    assert loaded.reason == "mycc 9 failed: scan.c:1: out of luck"
    assert len(lines(caplog)) == 1
    assert files(empty) == []


@needs_compiler
def test_a_compiler_without_openmp_gives_one_thread(compiler: Callable[[str], None]) -> None:
    compiler(f'case "$*" in *-fopenmp*) echo no openmp >&2; exit 1;; esac\nexec {COMPILER} "$@"')
    loaded = native._load()
    assert loaded.library is not None
    assert ", without OpenMP: one thread" in loaded.reason


@needs_compiler
def test_a_library_that_crashes_is_never_loaded(compiler: Callable[[str], None], empty: Path) -> None:
    crash = "#include <stdlib.h>\\nint cobra_smoke(void) { abort(); }\\n"
    compiler(
        f'[ "$1" = --version ] && exec {COMPILER} --version\n'
        f'for a in "$@"; do case "$a" in *smoke.c) printf \'{crash}\' > "$a";; esac; done\n'
        f'exec {COMPILER} "$@"'
    )
    loaded = native._load()
    assert loaded.library is None
    assert loaded.reason.startswith("the compiled library does not run (exit status -6")
    assert files(empty) == []


@needs_compiler
@pytest.mark.parametrize("length", [0, 5000, -1], ids=["empty", "half", "last byte"])
def test_a_damaged_library_is_built_again(cache: Path, length: int, caplog: pytest.LogCaptureFixture) -> None:
    (library,) = files(cache)
    library.write_bytes(library.read_bytes()[:length])
    assert native._load().library is not None
    assert lines(caplog) == [f"the cached kernel {library} is damaged and is built again"]


@needs_compiler
@pytest.mark.parametrize("changed", ["_processor", "find_compilers"])
def test_a_library_of_another_machine_is_left_alone(cache: Path, changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (library,) = files(cache)
    assert COMPILER is not None
    other = {
        "_processor": lambda: "another processor",
        "find_compilers": lambda: iter([native_build.Compiler((COMPILER,), "another version")]),
    }
    monkeypatch.setattr(native_build, changed, other[changed])
    path, _ = with_library(lambda path: path)
    assert path != library
    assert files(cache) == sorted([library, path])


@needs_compiler
def test_a_cache_that_cannot_be_made_costs_a_line(
    tmp_path: Path, use: Callable[[Path], Path], caplog: pytest.LogCaptureFixture
) -> None:
    blocked = use(tmp_path / "file")
    blocked.write_text("not a folder")
    assert native._load().library is not None
    (line,) = lines(caplog)
    assert line == (
        f"the kernel cache {blocked}/mamba cannot be written (Not a directory): compiling for this process only; "
        "set COBRA_KIT_CACHE to a folder that can be"
    )


@needs_compiler
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the blocked cache above stands in")
def test_a_read_only_cache_costs_a_line(empty: Path, caplog: pytest.LogCaptureFixture) -> None:
    (empty / "mamba").mkdir(parents=True)
    (empty / "mamba").chmod(stat.S_IRUSR | stat.S_IXUSR)
    loaded = native._load()
    (empty / "mamba").chmod(stat.S_IRWXU)
    assert loaded.library is not None
    assert "cannot be written (Permission denied)" in lines(caplog)[0]


@needs_compiler
def test_a_read_only_cache_that_holds_the_library_is_used(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    (cache / "mamba").chmod(stat.S_IRUSR | stat.S_IXUSR)
    loaded = native._load()
    (cache / "mamba").chmod(stat.S_IRWXU)
    assert loaded.library is not None
    assert lines(caplog) == []


@needs_compiler
def test_processes_that_compile_at_once_all_end_well(empty: Path, caplog: pytest.LogCaptureFixture) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", BUILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in started:
        out, err = process.communicate(timeout=900)
        assert process.returncode == 0, err
        assert Path(out.strip()) in files(empty)
    assert all(re.fullmatch(r"[0-9a-f]{32}-[0-9a-f]{64}\.so", path.name) for path in files(empty))
    assert native._load().library is not None
    assert lines(caplog) == []


def test_building_needs_no_torch() -> None:
    code = "import sys, cobra_kit_mamba.native_build; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@needs_compiler
@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("scan_forward", "scan"),
        ("scan_backward", "scan"),
        ("conv_forward", "convolution"),
        ("conv_backward", "convolution"),
        ("norm_forward", "norm"),
        ("norm_backward", "norm"),
    ],
)
@pytest.mark.parametrize("factor", [1.0001, float("nan"), float("inf")])
def test_wrong_numbers_fall_back_with_one_line(
    call: str,
    name: str,
    factor: float,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    right = getattr(native_calls, call)

    def wrong(*args: Any, **more: Any) -> Any:
        value = right(*args, **more)
        return value * factor if isinstance(value, Tensor) else (value[0] * factor, *value[1:])

    monkeypatch.setattr(native_calls, call, wrong)
    loaded = native._load()
    assert loaded.library is None
    assert re.fullmatch(
        rf"the C {name} failed its self-check: relative error (nan|inf|\d\.\de-0\d), allowed 1e-05", loaded.reason
    )
    (line,) = lines(caplog)
    assert line.startswith(f"Mamba runs without its C kernels, several times slower: {loaded.reason}. Remedy: ")


@needs_compiler
@pytest.mark.parametrize("call", ["scan_step", "conv_step"])
def test_a_step_that_does_nothing_fails_the_self_check(call: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_calls, call, lambda *args: None)
    assert native._load().reason.startswith("the C step failed its self-check: relative error ")


@needs_compiler
@pytest.mark.parametrize("factor", [0.0, 1.0001, float("nan")])
def test_a_wrong_decode_step_fails_the_self_check(factor: float, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: Any) -> None:
        native_decode.decode_step(*args)
        args[-1].mul_(factor)

    monkeypatch.setattr("cobra_kit_mamba.self_check.decode_step", wrong)
    assert native._load().reason.startswith("the C decode step failed its self-check: relative error ")


@needs_compiler
def test_a_self_check_that_raises_falls_back(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(library: ctypes.CDLL) -> str | None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(native, "self_check", broken)
    assert native._load().reason == "the self-check of the C kernels broke off: RuntimeError: out of luck"


@needs_compiler
def test_self_check_depends_on_nothing_around_it(cache: Path) -> None:
    torch.set_default_dtype(torch.float64)
    before = torch.get_rng_state()
    try:
        with torch.inference_mode(), torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16):
            loaded = native._load()
    finally:
        torch.set_default_dtype(torch.float32)
    assert loaded.library is not None, loaded.reason
    assert torch.equal(torch.get_rng_state(), before)


@needs_compiler
def test_threads_may_load_and_scan_at_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "native")
    loads: list[object] = []
    load = native._load
    monkeypatch.setattr(native, "_load", lambda: loads.append(1) or load())
    gradients: list[Tensor] = []

    def work() -> None:
        g = torch.Generator().manual_seed(0)
        u, dt, B, C = (torch.randn(2, 40, d, generator=g) for d in (16, 16, 4, 4))
        u.requires_grad_()
        selective_scan(u, dt, -torch.ones(16, 4), B, C).square().sum().backward()
        assert u.grad is not None
        gradients.append(u.grad)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gradients) == 6
    # Equal bits: every thread makes the same call on its own copy; sums are in an order that the shapes decide.
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)
    assert len(loads) == 1
