"""Preparing a public set: fetched, unpacked, counted, put there by hand, or said what to put where."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from cobra_kit.data.public import preparing
from cobra_kit.data.public.fetching import Fetched, NoNetworkError
from cobra_kit.data.public.preparing import prepare
from cobra_kit.data.public.unpacking import unpack
from cobra_kit.errors import DataError
from cobra_kit.interfaces import PublicFile, PublicSet

ROWS = PublicFile(path="rows.json", what="rows", link="http://x/rows.json", rows=2)
IMAGES = PublicFile(path="archives/a.zip", what="images", link="http://x/a.zip", unpacked="images/coco")
BY_HAND = PublicFile(path="extra.json", what="more", page="https://x/page")


def of(*files):
    return PublicSet(name="set", title="A set", files=files, licence="free", facts="here")


def archive(names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, name)
    return content.getvalue()


@pytest.fixture
def web(monkeypatch):
    files = {"http://x/rows.json": b'[{"id": 1}, {"id": 2}]', "http://x/a.zip": archive(["top/1.jpg", "top/b/2.jpg"])}
    asked = []

    def fetched(link, path, **_):
        asked.append(link)
        if link not in files:
            raise NoNetworkError("the server cannot be reached", where=link)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[link])
        return Fetched(len(files[link]), "0" * 64, 0)

    monkeypatch.setattr(preparing, "fetch", fetched)
    return files, asked


def states(item, root, **options):
    return [state.state for state in prepare(item, root, **options)]


def test_files_are_fetched_counted_and_unpacked_once(web, tmp_path):
    assert states(of(ROWS, IMAGES), tmp_path) == ["ready", "ready"]
    assert (tmp_path / "images/coco/b/2.jpg").read_text() == "top/b/2.jpg"
    assert not (tmp_path / "archives/a.zip").exists()
    assert states(of(ROWS, IMAGES), tmp_path) == ["ready", "ready"]
    assert len(web[1]) == 2


def test_without_a_network_nothing_is_asked_twice_and_the_rest_is_told(web, tmp_path):
    web[0].clear()
    events = []
    assert states(of(ROWS, IMAGES, BY_HAND), tmp_path, report=events.append) == ["missing"] * 3
    assert web[1] == ["http://x/rows.json"]
    assert "no file is fetched" in events[-1].text


def test_nothing_is_fetched_where_that_is_not_wanted(web, tmp_path):
    assert states(of(ROWS, IMAGES), tmp_path, download=False) == ["missing", "missing"]
    assert web[1] == []


def test_files_put_there_by_hand_are_checked_as_far_as_that_goes(web, tmp_path):
    (tmp_path / "rows.json").write_text('[{"id": 1}]')
    (tmp_path / "extra.json").write_text("[]")
    (tmp_path / "images/coco").mkdir(parents=True)
    result = prepare(of(ROWS, IMAGES, BY_HAND), tmp_path, download=False)
    assert [state.state for state in result] == ["wrong", "unchecked", "unchecked"]
    assert result[0].why == "1 rows, expected 2"
    assert states(of(ROWS), tmp_path, again=True) == ["ready"]


def test_an_archive_put_there_by_hand_is_unpacked(web, tmp_path):
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/a.zip").write_bytes(web[0]["http://x/a.zip"])
    assert states(of(IMAGES), tmp_path) == ["ready"]
    assert web[1] == []


def test_what_was_fetched_and_has_changed_is_wrong_and_what_was_unpacked_and_is_gone_is_missing(web, tmp_path):
    prepare(of(ROWS, IMAGES), tmp_path)
    (tmp_path / "rows.json").write_text("[]")
    (tmp_path / "images/coco/1.jpg").unlink()
    assert states(of(ROWS, IMAGES), tmp_path, download=False) == ["wrong", "missing"]


def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(archive(["../out.txt", "b.txt"]))
    with pytest.raises(DataError, match=r"names a place outside its folder: '\.\./out\.txt'"):
        unpack(tmp_path / "a.zip", tmp_path / "in")
    assert not (tmp_path / "out.txt").exists()


def test_a_damaged_archive_is_told(tmp_path):
    content = bytearray(archive(["a.txt", "b.txt"]))
    content[35] ^= 0xFF  # within the first file's content
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="cannot be unpacked: Bad CRC-32"):
        unpack(tmp_path / "a.zip", tmp_path / "in")


def test_unpacking_goes_on_where_it_stopped(tmp_path):
    (tmp_path / "a.zip").write_bytes(archive(["a.txt", "b.txt"]))
    unpack(tmp_path / "a.zip", tmp_path / "in")
    (tmp_path / "in/a.txt").write_text("A.TXT")  # of the same size: left as it is
    (tmp_path / "in/b.txt").write_text("b")  # cut short: written again
    unpack(tmp_path / "a.zip", tmp_path / "in")
    assert ((tmp_path / "in/a.txt").read_text(), (tmp_path / "in/b.txt").read_text()) == ("A.TXT", "b.txt")


def test_the_record_is_plain_json(web, tmp_path):
    prepare(of(ROWS), tmp_path)
    assert json.loads((tmp_path / preparing.RECORD).read_text())["rows.json"]["rows"] == 2
