from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cobra_kit import files
from cobra_kit.errors import CobraError
from cobra_kit.files import (
    atomic_write,
    caches_beneath,
    contents,
    expanded,
    user_cache,
    write_bytes,
    write_json,
    write_text,
)


def fail_with(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_what_is_written_is_read_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"\x00\xff")
    write_text(tmp_path / "b", "é\r\n")
    write_json(tmp_path / "c", {"z": 1, "a": ["é"]})
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b").read_bytes() == "é\r\n".encode()
    assert json.loads((tmp_path / "c").read_text("utf-8")) == {"z": 1, "a": ["é"]}
    assert (tmp_path / "c").read_text("utf-8").index("z") < (tmp_path / "c").read_text("utf-8").index("a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_names_that_are_not_utf_8_come_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    write_json(tmp_path / "c", {name: "é"})
    assert json.loads((tmp_path / "c").read_text("utf-8")) == {name: "é"}
    assert "é" in (tmp_path / "c").read_text("utf-8")


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("function", "number", "hint"),
    [
        ("fsync", errno.ENOSPC, "Make room on the disk"),
        ("replace", errno.ENOSPC, "what was at file before is untouched"),
        ("replace", errno.EACCES, "you may write to"),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, number: int, hint: str
) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, function, fail_with(number))
    with pytest.raises(CobraError, match=r"file: cannot write: .*") as caught:
        write_text(path, "new")
    assert hint in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_an_interrupted_writer_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_the_file_is_synced_before_the_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor: int) -> None:
        events.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        fsync(descriptor)

    def spy_replace(source: Path, target: Path) -> None:
        events.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    write_text(tmp_path / "file", "x")
    assert events == ["sync file", "rename", "sync folder"]


def test_a_file_system_that_cannot_sync_folders_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_text(tmp_path / "file", "x")
    assert (tmp_path / "file").read_text() == "x"


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(CobraError, match=r"cannot write: .*No such file[\s\S]*Create the folder .*none first"):
        write_text(tmp_path / "none" / "file", "x")


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "file", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file", float("nan"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", "lost+found", "._notes", "$RECYCLE.BIN"])
def test_a_folder_with_clutter_is_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert contents(tmp_path) == []
    (tmp_path / "b").touch()
    (tmp_path / "a").mkdir()
    assert contents(tmp_path) == ["a", "b"]


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Returns the working directory of a process without a home and without an entry in the password database."""
    for name in ("COBRA_KIT_CACHE", "XDG_CACHE_HOME", "HOME", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    pwd = pytest.importorskip("pwd")

    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(files.caches._Fallback, "announced", False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_home_caches_are_beneath_the_study(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with caches_beneath(Path("study/cache")) as remark:
        assert remark == "there is no home folder: caches are in study/cache; COBRA_KIT_CACHE names another folder"
        assert user_cache() == homeless / "study" / "cache"
        assert os.environ["HF_HOME"] == str(homeless / "study" / "cache" / "huggingface")
        with caches_beneath(Path("study/cache")) as again:
            assert again is None
    assert "HF_HOME" not in os.environ
    monkeypatch.setenv("COBRA_KIT_CACHE", "~/cache")
    with caches_beneath(Path("study/cache")):
        assert user_cache() == homeless / "study" / "cache"
    monkeypatch.setenv("COBRA_KIT_CACHE", str(homeless / "own"))
    with caches_beneath(Path("study/cache")) as remark:
        assert remark is None
        assert user_cache() == homeless / "own"
    assert list(homeless.iterdir()) == []  # no folder named `~` above all


def test_without_a_home_and_a_study_caches_are_the_user_s_own_temporary_ones(
    homeless: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = user_cache()
    assert user_cache() == folder
    assert folder.parent == homeless
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [record.getMessage() for record in caplog.records] == [f"there is no home folder: caches are in {folder}"]
    folder.chmod(0o777)
    with pytest.raises(CobraError, match="somebody else may write in the folder for caches"):
        user_cache()


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nobody", "relative"])
def test_a_home_that_cannot_be_written_is_as_none(homeless: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("HOME", home)
    with caches_beneath(homeless / "study") as remark:
        assert remark is not None
        assert user_cache() == homeless / "study"
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    with caches_beneath(homeless / "study"):
        assert user_cache() == homeless / "study"
    monkeypatch.setenv("XDG_CACHE_HOME", str(homeless / "xdg"))
    with caches_beneath(homeless / "study") as remark:
        assert remark is None
        assert user_cache() == homeless / "xdg" / "cobra-kit"


def test_a_path_below_a_home_that_is_not_there_stays_as_it_is(homeless: Path) -> None:
    assert expanded("~/weights") == Path("~/weights")
    assert expanded("~nobody-at-all/weights") == Path("~nobody-at-all/weights")


def test_a_device_is_written_into_and_stays(tmp_path: Path) -> None:
    before = os.stat("/dev/null")
    write_text("/dev/null", "x")
    assert os.path.samestat(os.stat("/dev/null"), before)
    assert list(Path("/dev").glob(".null*")) == []


def test_a_stream_of_this_process_is_written_to_behind_what_stands_there(tmp_path: Path) -> None:
    code = "from cobra_kit.files import write_text; print('table', flush=True); write_text('/dev/stdout', 'page')"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "table\npage"
    with (tmp_path / "log").open("w") as log:
        subprocess.run(command, stdout=log, check=True)
    assert (tmp_path / "log").read_text() == "table\npage"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "link").symlink_to("folder")
    cases = {"folder": "a folder", "link": "a folder", "pipe": "a named pipe", "null": "a device"}
    for name, words in cases.items():
        with pytest.raises(CobraError, match=f"{name}: is {words}, not a file that can be replaced"):
            write_text(tmp_path / name, "x")
    assert sorted(os.listdir(tmp_path)) == sorted(cases)


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("dear diary")
    (tmp_path / "report.html").symlink_to("diary")
    write_text(tmp_path / "report.html", "page")
    assert (tmp_path / "diary").read_text() == "dear diary"
    assert (tmp_path / "report.html").read_text() == "page"
    assert not (tmp_path / "report.html").is_symlink()


def test_names_are_as_long_as_the_file_system_has_them(tmp_path: Path) -> None:
    write_text(tmp_path / ("a" * 255), "x")
    with pytest.raises(CobraError, match=r"cannot write: .*File name too long[\s\S]*Choose a shorter name"):
        write_text(tmp_path / ("a" * 256), "x")
    assert os.listdir(tmp_path) == ["a" * 255]
