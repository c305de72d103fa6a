"""`--storage`: whom it connects to, and that no password is seen, printed or kept."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import miniature
import pytest
import sqlalchemy
from fake_packages import run_python
from fake_study import write_study

from cobra_kit.cli import main
from cobra_kit.cli.storage_option import storage_option
from cobra_kit.cli.sweep_action import SweepArguments
from cobra_kit.trials import StorageError, database
from cobra_kit.trials.known_storages import remember_storage
from cobra_kit.trials.storage_url import STORAGE_VARIABLE

SECRET = "s3cret"
URL = f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/db"
HIDDEN_URL = "postgresql+psycopg://me:***@127.0.0.1:1/db"


class SilentServer:
    """Takes connections, counts them and never says a word."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        self.url = f"postgresql+psycopg://127.0.0.1:{self._socket.getsockname()[1]}/db"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                self.connections.append(self._socket.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        self._socket.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def server() -> Iterator[SilentServer]:
    server = SilentServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(STORAGE_VARIABLE, raising=False)
    monkeypatch.setattr(database, "READING_PATIENCE", 1.0)
    monkeypatch.setattr(database, "_WORD_SECONDS", 0.1)
    sqlalchemy.create_engine("postgresql+psycopg://")  # the driver's import is not what is waited for


def search_in(folder: Path, storage: object) -> Path:
    """Returns the folder of a search whose manifest names a database."""
    folder.mkdir()
    text = miniature.search("train.finetune.learning_rate: {choices: [0.001, 0.002]}", sampler={"use": "grid"})
    (folder / "recipe.yaml").write_text(text)
    manifest = {"form": 1, "study": "s", "profile": None, "arms": ["s"], "reference": "s", "seeds": [7], "identity": {}}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "storage": storage}))
    return folder


def test_a_strangers_folder_connects_to_nothing_and_says_what_to_type(
    tmp_path: Path, server: SilentServer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = search_in(tmp_path / "study", server.url)
    assert main(["status", str(folder)]) == 1
    told = capsys.readouterr().err
    assert f"the study keeps its trials in {server.url}\n" in told
    assert "Nothing was connected to" in told
    assert main(["report", str(folder)]) == 0
    told += capsys.readouterr().err
    assert "the search&#39;s trials: the study keeps its trials in" in (folder / "report.html").read_text()
    assert server.connections == []
    for command in ("status", "report"):
        line = f"cobra-kit {command} {folder} --storage {server.url}"
        assert f"       {line}\n" in told
        before = len(server.connections)
        main(line.split()[1:])
        assert len(server.connections) > before


def test_a_server_that_never_answers_is_waited_for_with_a_word(
    tmp_path: Path, server: SilentServer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = search_in(tmp_path / "study", None)
    assert main(["status", str(folder), "--storage", server.url]) == 1
    told = capsys.readouterr().err
    assert f"warning: {server.url}: it does not answer; waiting for up to 1 s" in told
    assert f"error: {server.url}: the storage cannot be reached: " in told


def test_what_this_user_gave_for_the_study_is_connected_to_and_nothing_else(
    tmp_path: Path, server: SilentServer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = search_in(tmp_path / "study", server.url)
    remember_storage(folder, server.url)
    assert main(["status", str(folder)]) == 1
    assert "the storage cannot be reached" in capsys.readouterr().err
    count = len(server.connections)
    assert count > 0
    remember_storage(folder, "postgresql+psycopg://127.0.0.1:1/another")
    assert main(["status", str(folder)]) == 1
    remember_storage(search_in(tmp_path / "copy", server.url).with_name("elsewhere"), server.url)
    assert main(["status", str(tmp_path / "copy")]) == 1
    assert len(server.connections) == count


def test_the_environment_counts_as_given_where_the_folder_names_the_same(
    tmp_path: Path, server: SilentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, server.url)
    assert main(["status", str(search_in(tmp_path / "other", "postgresql+psycopg://127.0.0.1:1/db"))]) == 1
    assert server.connections == []
    assert main(["status", str(search_in(tmp_path / "same", server.url))]) == 1
    assert server.connections


@pytest.mark.parametrize("storage", [5, ["x"], {"a": 1}, True, "no url", "\x1b[31m", "x" * 10_000, "***"])
def test_a_manifest_that_names_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str], storage: object) -> None:
    folder = search_in(tmp_path / "study", storage)
    assert main(["status", str(folder)]) == 1
    told = capsys.readouterr().err
    assert str(folder) in told
    assert ("--storage" in told) is isinstance(storage, str)
    assert "internal error" not in told
    assert "\x1b" not in told
    assert len(told) < 1000


def test_a_password_that_an_older_manifest_holds_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_study(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"]  # those older ones have none
    manifest["storage"] = f"postgresql+psycopg://me@127.0.0.1:1/db?password={SECRET}"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert main(["report", str(folder)]) == 0
    assert main(["status", str(folder)]) == 1
    told = capsys.readouterr()
    assert "me@127.0.0.1:1/db?password=***" in told.err
    assert SECRET not in told.err + told.out + (folder / "report.html").read_text()


def test_commands_and_workers_words_have_no_password() -> None:
    arguments = SweepArguments(
        recipe="r", profile=None, changes=(), trials=None, storage=URL, out=None, timeout=None, fail_fast=False,
        device="auto",
    )  # fmt: skip
    assert arguments.command() == ["sweep", "r", "--storage", HIDDEN_URL]


def test_a_hidden_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, URL)
    assert storage_option(HIDDEN_URL) == URL
    assert storage_option(None) is None
    assert storage_option(None, or_environment=True) == URL
    assert storage_option("postgresql://other/db", or_environment=True) == "postgresql://other/db"
    with pytest.raises(StorageError, match=r"the URL has \*\*\* where its password was"):
        storage_option(HIDDEN_URL.replace("me", "you"))
    monkeypatch.setenv(STORAGE_VARIABLE, f"host=h password={SECRET}")
    with pytest.raises(StorageError, match="no URL of a database") as caught:
        storage_option(None, or_environment=True)
    assert SECRET not in str(caught.value)


def test_a_hidden_password_is_asked_for_where_somebody_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "p@/ss")
    assert storage_option("postgresql+psycopg://me:***@h/d") == "postgresql+psycopg://me:p%40%2Fss@h/d"
    for url in ("***", "postgresql://me@h/d?password=***"):
        with pytest.raises(StorageError, match=f"Set {STORAGE_VARIABLE} to the whole URL"):
            storage_option(url)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no /proc")
@pytest.mark.parametrize("words", [["--storage", URL], [f"--storage={URL}"], ["--storage", f"password={SECRET}"]])
def test_a_password_leaves_the_list_of_processes(words: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cobra_kit.cli import process_list\n"
        "typed = sys.argv[1:]; process_list.hide_storage(typed)\n"
        "assert 's3' + 'cret' not in str(sys.argv)\n"
        "assert not process_list.is_visible('s3' + 'cret') and process_list.is_visible('here')\n"
        "print(Path('/proc/self/cmdline').read_text().split(chr(0))[3:]); print(typed)"
    )
    done = run_python("-c", code, "sweep", *words, "--out", "here", cwd=tmp_path)
    shown, typed = done.stdout.splitlines()
    assert SECRET not in shown
    assert shown.startswith("['sweep', '--storage")
    assert shown.endswith("'--out', 'here', '']")
    assert typed == str(["sweep", *words, "--out", "here"])


def test_a_url_in_the_wrong_place_is_not_repeated(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (
        ["status", str(tmp_path), URL],
        ["status", f"--storge={URL}"],
        ["sweep", URL],
        ["--debug", "run", URL],
    ):
        assert main(words) in (1, 2)
        told = capsys.readouterr().err
        assert SECRET not in told
        assert "error: " in told
