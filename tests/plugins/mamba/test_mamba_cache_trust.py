"""Compiled kernels are code: another user's library is never loaded, nor one that others could have put there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cobra_kit_mamba import native_build, triton_cache
from cobra_kit_mamba.diagnostics import native_kernels
from cobra_kit_mamba.native_build import with_library

COMPILER = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(COMPILER is None or not hasattr(os, "getuid"), reason="needs a C compiler, and POSIX")
needs_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="gives files away")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in use; what is compiled is a library of nothing, so that it takes no time."""
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(native_build, "c_sources", lambda: {"smoke.c": b"int cobra_smoke(void) { return 0; }"})
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mamba"


def path_used() -> Path:
    return with_library(lambda path: path)[0]


def plant(cache: Path) -> Path:
    """A library that somebody else made, under the name that ours would have."""
    ours = path_used()
    content = ours.read_bytes() + b"somebody else's"
    foreign = cache / f"{ours.name[:32]}-{hashlib.sha256(content).hexdigest()}.so"
    foreign.write_bytes(content)
    ours.unlink()
    return foreign


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "cobra_kit.mamba"]


def test_the_cache_is_made_for_this_user_alone(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = os.umask(0)
    try:
        made = path_used()
        assert made == path_used()
    finally:
        os.umask(before)
    assert made.parent == cache
    assert not cache.stat().st_mode & 0o077
    assert not made.stat().st_mode & 0o022
    assert lines(caplog) == []


@needs_root
def test_another_user_s_library_is_not_loaded(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    foreign = plant(cache)
    os.chown(foreign, 12345, 12345)
    assert path_used() != foreign
    assert lines(caplog)[0] == (
        f"the cached kernel {foreign} is not loaded ({foreign} belongs to another user (12345)) and is built again"
    )


def test_a_library_that_others_can_write_is_not_loaded(cache: Path) -> None:
    foreign = plant(cache)
    foreign.chmod(0o666)
    assert path_used() != foreign


def test_a_link_in_the_place_of_a_library_is_not_followed(cache: Path, tmp_path: Path) -> None:
    foreign = plant(cache)
    elsewhere = foreign.rename(tmp_path / "elsewhere.so")
    foreign.symlink_to(elsewhere)
    assert path_used() not in (foreign, elsewhere)


@pytest.mark.parametrize("level", [0, 1])
def test_a_folder_that_others_can_write_is_left_alone(
    level: int, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = plant(cache)
    place = (cache, *cache.parents)[level]
    place.chmod(0o777)
    used = path_used()
    assert cache not in used.parents
    assert list(cache.iterdir()) == [foreign]
    (line,) = lines(caplog)
    assert line == (
        f"the kernel cache {cache} is not used ({place} can be written by others): compiling for this process only; "
        f"chmod go-w {place}"
    )
    *_, diagnosis = native_kernels()
    assert diagnosis.remedy == f"chmod go-w {place}"
    subprocess.run(diagnosis.remedy, shell=True, check=True)
    assert path_used() == foreign  # whose it is by now: the user has said so


@needs_root
def test_another_user_s_folder_is_left_alone(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    plant(cache)
    os.chown(cache, 12345, 12345)
    assert cache not in path_used().parents
    assert lines(caplog)[0].endswith(
        f"({cache} belongs to another user (12345)): compiling for this process only; "
        "set COBRA_KIT_CACHE to a folder of your own"
    )


def test_a_link_to_a_folder_of_others_is_left_alone(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(cache)
    cache.parent.chmod(0o777)
    (tmp_path / "link").symlink_to(cache.parent)
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "link"))
    assert cache not in path_used().parents


def test_nothing_is_compiled_where_others_can_write(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)  # and not sticky: others could put their own folder in the place of ours
    monkeypatch.setattr("tempfile.tempdir", str(shared))
    with pytest.raises(native_build.BuildError, match="nowhere to compile") as caught:
        path_used()
    assert caught.value.remedy == "set TMPDIR to a folder of your own"


def test_a_temporary_cache_that_somebody_else_made_is_left_alone(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COBRA_KIT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trap = tmp_path / f"cobra-kit-{os.getuid()}"
    trap.mkdir()
    trap.chmod(0o777)
    assert trap not in path_used().parents


@pytest.fixture
def triton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Triton's cache as the environment names it, ours not asked yet."""
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))
    triton_cache.secure_triton_cache.cache_clear()
    (tmp_path / "triton").mkdir(mode=0o755)
    return tmp_path / "triton"


def test_triton_keeps_its_own_cache(triton: Path, caplog: pytest.LogCaptureFixture) -> None:
    triton_cache.secure_triton_cache()
    assert os.environ["TRITON_CACHE_DIR"] == str(triton)
    assert lines(caplog) == []


@pytest.mark.parametrize("inner", [False, True])
def test_triton_is_given_another_cache_where_others_can_write(
    inner: bool, triton: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = triton / "key" if inner else triton
    place.mkdir(exist_ok=True)
    place.chmod(0o777)
    triton_cache.secure_triton_cache()
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "cache" / "triton")
    (line,) = lines(caplog)
    assert line.startswith(f"Triton's cache {triton} is not used ({place} can be written by others): ")


def test_triton_never_writes_a_folder_named_tilde(
    triton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_CACHE_DIR")
    monkeypatch.delenv("TRITON_HOME", raising=False)
    monkeypatch.setenv("HOME", "~")
    monkeypatch.chdir(tmp_path)
    triton_cache.secure_triton_cache()
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "cache" / "triton")
    assert not (tmp_path / "~").exists()
