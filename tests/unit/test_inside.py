"""Names that stand in files never lead out of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobra_kit.errors import DamagedFile, UnreadableFile
from cobra_kit.files import inside, refuse_links_out


@pytest.mark.parametrize("name", ["a", "a/b.jsonl", "scores/test/ä b.jsonl", "./a", "a//b", "..a", "a.."])
def test_names_within_the_folder_are_paths(tmp_path: Path, name: str) -> None:
    assert inside(tmp_path, name, tmp_path / "scores.json") == tmp_path / name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/passwd", "is not within the folder"),
        ("../x", "leaves the folder"),
        ("a/../../x", "leaves the folder"),
        ("a/..", "leaves the folder"),
        ("a\0b", "holds control characters"),
        ("a\x1b[31m", "holds control characters"),
        ("a\nb", "holds control characters"),
        ("a\u202eb", "holds control characters"),
        ("a" * 256, "is too long"),
        ("ä" * 200, "is too long"),
        ("a/" * 600, "is too long"),
        ("", "names nothing"),
        (".", "names nothing"),
        ("..", "names nothing"),
        (None, "is no name"),
        (7, "is no name"),
        (["a"], "is no name"),
        ({"a": 1}, "is no name"),
    ],
)
def test_other_names_are_refused_by_the_file_that_holds_them(tmp_path: Path, name: object, words: str) -> None:
    with pytest.raises(DamagedFile, match=words) as caught:
        inside(tmp_path, name, tmp_path / "scores.json")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/scores.json: names ")
    assert text.replace("\n", "").isprintable()
    assert len(text) < 300 + 2 * len(str(tmp_path))


def test_a_link_may_not_lead_out(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "study", tmp_path / "home"
    (folder / "real").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "diary").write_text("dear", "utf-8")
    (folder / "out").symlink_to(elsewhere)
    (folder / "in").symlink_to("real")
    (folder / "diary").symlink_to("../home/diary")
    (folder / "circle").symlink_to("circle")
    for name in ("out/diary", "out/new", "diary"):
        with pytest.raises(DamagedFile, match="leads out of the folder over a link"):
            inside(folder, name, folder / "a.json")
    assert inside(folder, "in/a", folder / "a.json") == folder / "in/a"
    assert inside(folder, "circle", folder / "a.json") == folder / "circle"  # whoever reads it is told


def test_a_folder_that_is_a_link_itself_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "study").symlink_to("disk")
    assert inside(tmp_path / "study", "a", tmp_path / "b") == tmp_path / "study" / "a"
    refuse_links_out(tmp_path / "study", 3)


def test_a_folder_is_looked_through_for_links_that_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    (folder / "runs" / "a-s7").mkdir(parents=True)
    (folder / "shared").symlink_to("runs")
    (folder / "runs" / "a-s7" / "checkpoints").symlink_to(tmp_path)
    refuse_links_out(folder, 2)
    refuse_links_out(tmp_path / "not there", 2)
    with pytest.raises(UnreadableFile, match=r"a-s7/checkpoints: is a link that leads out of .*study"):
        refuse_links_out(folder, 3)
