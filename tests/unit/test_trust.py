"""Whether somebody else could have put there what is to be run: owners, modes, links, folders above."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cobra_kit.files import code_cache, distrust, make_private

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes of POSIX")
needs_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="gives files away")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "cache" / "mamba"
    make_private(folder)
    return folder


def test_a_folder_of_one_s_own_is_trusted(own: Path) -> None:
    (own / "library").touch(0o644)
    assert distrust(own) is None
    assert distrust(own / "library") is None
    assert distrust(own / "not" / "there" / "yet") is None


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_no_folder_may_be_written_by_others(own: Path, level: int, mode: int) -> None:
    place = (own, *own.parents)[level]
    place.chmod(mode)
    problem = distrust(own / "library")
    assert problem is not None
    assert problem.reason == f"{place} can be written by others"
    subprocess.run(problem.remedy, shell=True, check=True)
    assert distrust(own / "library") is None


def test_the_remedy_names_all_folders_at_once(own: Path) -> None:
    for place in (own, own.parent, own.parent.parent):
        place.chmod(0o777)
    problem = distrust(own)
    assert problem is not None
    subprocess.run(problem.remedy, shell=True, check=True)
    assert distrust(own) is None


def test_a_sticky_folder_will_do_above_and_not_itself(own: Path) -> None:
    own.parent.chmod(0o1777)
    assert distrust(own) is None
    problem = distrust(own.parent)
    assert problem is not None
    assert "can be written by others" in problem.reason


def test_a_link_is_followed(own: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (own / "link").symlink_to(shared)
    problem = distrust(own / "link" / "library")
    assert problem is not None
    assert str(shared) in problem.reason
    (shared / "back").symlink_to(own)
    assert distrust(shared / "back") is None


def test_a_whole_tree_is_looked_at_where_others_can_reach_it(own: Path) -> None:
    inner = own / "key"
    inner.mkdir()
    inner.chmod(0o777)
    assert distrust(own, whole_tree=True) is None  # its folder is closed
    own.chmod(0o755)
    assert distrust(own) is None
    problem = distrust(own, whole_tree=True)
    assert problem is not None
    assert str(inner) in problem.reason
    subprocess.run(problem.remedy, shell=True, check=True)
    assert distrust(own, whole_tree=True) is None


@needs_root
@pytest.mark.parametrize("level", [0, 1, 2])
def test_another_user_s_folder_is_not_trusted(own: Path, level: int) -> None:
    place = (own, *own.parents)[level]
    os.chown(place, 12345, 12345)
    problem = distrust(own / "library")
    assert problem is not None
    assert problem.reason == f"{place} belongs to another user (12345)"
    assert problem.remedy == "set COBRA_KIT_CACHE to a folder of your own"


@needs_root
def test_a_file_of_root_is_trusted_by_others(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "library").touch(0o644)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert distrust(own / "library") is None


def test_private_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert distrust(tmp_path / "a" / "b") is None


@pytest.mark.parametrize("value", ["cache", "~/cache", "./cache", "~"])
def test_code_is_never_kept_at_a_relative_path(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", value)
    monkeypatch.setenv("HOME", "~")
    monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    from cobra_kit.files.caches import _Fallback

    monkeypatch.setattr(_Fallback, "ignored", None)
    for _ in range(2):
        assert code_cache() == tmp_path / "tmp" / f"cobra-kit-{os.getuid()}"
    assert [record.getMessage() for record in caplog.records] == [
        f"COBRA_KIT_CACHE is {value!r} and no absolute path: it is ignored"
    ]


@pytest.mark.parametrize("home", ["", "~", "relative"])
def test_a_home_that_is_none_is_no_place_for_code(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COBRA_KIT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert code_cache().parent == tmp_path


def test_code_is_never_kept_beneath_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cobra_kit.files import caches_beneath, user_cache

    for name in ("COBRA_KIT_CACHE", "XDG_CACHE_HOME", "TRITON_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with caches_beneath(tmp_path / "study" / "cache"):
        assert user_cache() == tmp_path / "study" / "cache"
        assert code_cache().parent == tmp_path / "tmp"
        assert "TRITON_CACHE_DIR" not in os.environ
