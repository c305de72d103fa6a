"""Images by a row's name: inside the folder or through the user's links, and never other than they were hashed."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from cobra_kit.data.image_folder import ImageFolder
from cobra_kit.data.rejects import Rejects
from cobra_kit.errors import DataError, ImageError
from cobra_kit.hashing import contents


def draw(path, colour="red", size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, "BMP")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("COBRA_KIT_CACHE", str(tmp_path / "cache"))
    draw(tmp_path / "images" / "a.bmp")
    return tmp_path / "images"


class TestNames:
    def test_links_within_the_folder_are_followed(self, root, tmp_path):
        draw(tmp_path / "disk2" / "b.bmp", "blue")
        (root / "coco").symlink_to(tmp_path / "disk2")
        (root / "c.bmp").symlink_to(tmp_path / "disk2" / "b.bmp")
        folder = ImageFolder(root)
        assert folder.image("coco/b.bmp").getpixel((0, 0)) == folder.image("c.bmp").getpixel((0, 0)) == (0, 0, 255)

    def test_the_folder_itself_may_be_a_link(self, root, tmp_path):
        (tmp_path / "link").symlink_to(root)
        assert ImageFolder(tmp_path / "link").image("a.bmp").size == (8, 8)

    @pytest.mark.parametrize("name", ["../secret.bmp", "sub/../../secret.bmp", "sub/..", "/etc/hosts", "//etc/hosts"])
    def test_a_name_never_leads_out(self, root, tmp_path, name):
        draw(tmp_path / "secret.bmp")
        (root / "sub").mkdir()
        with pytest.raises(ImageError, match="the path leads out of the picture folder"):
            ImageFolder(root).image(name)

    def test_nor_is_such_a_file_looked_at_for_the_fingerprint(self, root, tmp_path):
        folder = ImageFolder(root)
        before = folder.fingerprint(["a.bmp", "../secret.bmp"])
        draw(tmp_path / "secret.bmp")
        assert folder.fingerprint(["a.bmp", "../secret.bmp"]) == before

    @pytest.mark.parametrize("name", ["a\0.bmp", "\ud800.bmp", "x" * 400, "", "."])
    def test_impossible_names_are_errors_of_the_image_and_have_a_fingerprint(self, root, name):
        folder = ImageFolder(root)
        assert len(folder.fingerprint(["a.bmp", name])) == 64
        with pytest.raises(ImageError):
            folder.image(name)

    def test_a_loop_of_links(self, root):
        (root / "loop.bmp").symlink_to(root / "loop.bmp")
        folder = ImageFolder(root)
        folder.fingerprint(["loop.bmp"])
        with pytest.raises(ImageError, match="cannot be read: Too many levels of symbolic links"):
            folder.image("loop.bmp")


class TestFingerprint:
    def test_it_follows_contents_and_not_names_or_times_alone(self, root):
        first = ImageFolder(root).fingerprint(["a.bmp"])
        os.utime(root / "a.bmp", (1e9, 1e9))
        assert ImageFolder(root).fingerprint(["a.bmp"]) == first
        draw(root / "a.bmp", "blue")
        assert ImageFolder(root).fingerprint(["a.bmp"]) != first

    def test_an_image_that_appears_or_may_be_read_again_changes_it(self, root):
        folder = ImageFolder(root)
        missing = folder.fingerprint(["b.bmp"])
        (root / "b.bmp").mkdir()
        unreadable = folder.fingerprint(["b.bmp"])
        (root / "b.bmp").rmdir()
        draw(root / "b.bmp")
        assert len({missing, unreadable, folder.fingerprint(["b.bmp"])}) == 3


class TestUse:
    def test_an_image_that_changed_since_is_refused(self, root):
        folder = ImageFolder(root)
        folder.fingerprint(["a.bmp"])
        folder.image("a.bmp")
        draw(root / "a.bmp", "blue")
        with pytest.raises(
            DataError, match=r"a\.bmp: the image was changed or removed while it was in use.*\n.*run again"
        ):
            folder.image("a.bmp")

    def test_one_that_is_gone_is_not_left_out_in_silence(self, root):
        folder = ImageFolder(root)
        folder.fingerprint(["a.bmp"])
        (root / "a.bmp").unlink()
        with pytest.raises(DataError, match="changed or removed while it was in use"):
            folder.image("a.bmp")

    def test_one_that_takes_too_much_memory_was_not_changed(self, root, monkeypatch):
        folder = ImageFolder(root)
        folder.fingerprint(["a.bmp"])

        def exhausted(*_):
            raise MemoryError

        monkeypatch.setattr("cobra_kit.images.opening._read", exhausted)
        with pytest.raises(ImageError, match="there is not enough memory for this image"):
            folder.image("a.bmp")

    def test_one_that_was_never_there_is_an_image_error(self, root):
        folder = ImageFolder(root)
        folder.fingerprint(["b.bmp"])
        with pytest.raises(ImageError, match="no such image file"):
            folder.image("b.bmp")
        draw(root / "b.bmp")
        with pytest.raises(DataError, match="changed or removed"):
            folder.image("b.bmp")

    def test_a_file_system_without_such_times_is_trusted_once_only(self, root, monkeypatch):
        """Where only size and modification time tell, a replaced image is found when it is opened, and not again."""
        monkeypatch.setattr(contents, "_identity", lambda seen: f"{seen.st_size}-{seen.st_mtime_ns}")
        monkeypatch.setattr(contents, "_last_change", lambda seen: 0)
        first, old = ImageFolder(root).fingerprint(["a.bmp"]), os.stat(root / "a.bmp")
        draw(root / "a.bmp", "blue")
        os.utime(root / "a.bmp", ns=(old.st_atime_ns, old.st_mtime_ns))
        stale = ImageFolder(root)
        assert stale.fingerprint(["a.bmp"]) == first
        with pytest.raises(DataError, match="changed or removed"):
            stale.image("a.bmp")
        again = ImageFolder(root)
        assert again.fingerprint(["a.bmp"]) != first
        assert again.image("a.bmp").getpixel((0, 0)) == (0, 0, 255)


def test_names_that_would_steer_a_terminal_are_escaped_where_they_are_shown():
    rejects = Rejects(10)
    rejects.add("a\x1b[31m\0\udce9é.png", "no such image file")
    assert rejects.summary("left out").splitlines()[1] == r"a\x1b[31m\x00\udce9é.png: no such image file"
