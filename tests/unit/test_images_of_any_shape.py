"""Images of extreme shapes, unlikely files and too little memory: prepared in bounded memory, or an ImageError."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cobra_kit.errors import CobraError, ImageError
from cobra_kit.images import memory_as_image_error, open_image, resize, resizing

RULES = ("naive", "crop", "letterbox")


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


BOUNDED = """
import resource, sys
from PIL import Image
from cobra_kit.errors import ImageError
from cobra_kit.images import resize
width, height, side, how = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
image = Image.new("RGB", (width, height), "red")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    out = resize(image, (side, side), how, fill=(0, 0, 255))
    middle = out.getpixel((side // 2, side // 2))
    assert out.size == (side, side) and (how == "letterbox" or middle == (255, 0, 0)), middle
except ImageError as error:
    assert how == "letterbox" and "too long and thin" in error.message
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("how", RULES)
@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (8_000_000, 3), (3, 8_000_000)])
def test_no_shape_takes_much_memory(size: tuple[int, int], how: str) -> None:
    command = [sys.executable, "-c", BOUNDED, str(size[0]), str(size[1]), "384", how]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 600, "megabytes"


@settings(max_examples=80, deadline=None)
@given(
    size=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    how=st.sampled_from(RULES),
)
def test_the_thrifty_order_gives_the_same_image(size: tuple[int, int], target: tuple[int, int], how: str) -> None:
    """With a smooth image, since the two orders round between the axes at different places."""
    across, down = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    image = Image.fromarray(np.stack([across, down, across], -1).astype(np.uint8))
    usual = np.asarray(resize(image, target, how, fill=(9, 9, 9)), dtype=int)  # type: ignore[arg-type]
    most = resizing._MOST_PIXELS
    try:
        resizing._MOST_PIXELS = max(target) * max(size) * 4 if how == "letterbox" else 1
        thrifty = np.asarray(resize(image, target, how, fill=(9, 9, 9)), dtype=int)  # type: ignore[arg-type]
    except ImageError:
        return
    finally:
        resizing._MOST_PIXELS = most
    assert np.abs(usual - thrifty).max() <= 3


def test_a_long_strip_keeps_its_place_in_every_rule() -> None:
    strip = Image.new("RGB", (50_000, 20), "red")
    strip.paste("blue", (25_000, 0, 50_000, 20))
    for how in RULES:
        out = resize(strip, (32, 32), how, fill=(0, 0, 0))  # type: ignore[arg-type]
        left, right = np.asarray(out)[:, 2].sum(0), np.asarray(out)[:, -3].sum(0)
        assert left[0] > left[2], how
        assert right[2] > right[0], how


class TestMemory:
    @pytest.mark.parametrize(
        "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]
    )
    def test_too_little_memory_is_an_error_of_that_image(self, error: Exception) -> None:
        expected = r"big\.png: there is not enough memory for this image\n +Scale it down"
        with pytest.raises(ImageError, match=expected), memory_as_image_error("big.png"):
            raise error

    def test_other_errors_pass(self) -> None:
        with pytest.raises(RuntimeError, match="else"), memory_as_image_error("a.png"):
            raise RuntimeError("something else")

    def test_memory_that_runs_out_while_decoding(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def exhausted(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", exhausted)
        with pytest.raises(ImageError, match="there is not enough memory for this image"):
            open_image(encoded(noise(4, 4)))


class TestUnlikelyFiles:
    @pytest.mark.parametrize("name", ["a\0b.png", "a\ud800.png"])
    def test_a_name_that_no_file_has(self, tmp_path, name: str) -> None:
        with pytest.raises(ImageError, match=r"no file can have this name\n +Mend the row"):
            open_image(tmp_path / name)

    def test_a_name_that_is_not_utf_8(self, tmp_path) -> None:
        path = os.fsencode(tmp_path) + b"/\xe9.png"
        with open(path, "wb") as file:
            file.write(encoded(noise(4, 4)))
        assert open_image(os.fsdecode(path)).size == (4, 4)

    def test_a_pipe_is_refused_at_once(self, tmp_path) -> None:
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(ImageError, match=r"pipe\.png: cannot be read: it is a pipe or a device"):
            open_image(tmp_path / "pipe.png")

    def test_a_device_is_refused(self) -> None:
        with pytest.raises(ImageError, match="/dev/zero: cannot be read: it is a pipe or a device"):
            open_image("/dev/zero")

    def test_a_sparse_giant_is_not_read(self, tmp_path) -> None:
        with open(tmp_path / "giant.png", "wb") as file:
            file.truncate(5 << 40)
        with pytest.raises(ImageError, match=r"the file has 5,120\.0 GiB, more than any image"):
            open_image(tmp_path / "giant.png")

    def test_no_file_handle_left_is_no_fault_of_the_image(self, tmp_path) -> None:
        (tmp_path / "a.png").write_bytes(encoded(noise(4, 4)))
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        low = os.dup(0)
        os.close(low)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (low, limits[1]))
            with pytest.raises(CobraError, match=r"a\.png: cannot be read: Too many open files\n.*ulimit -n") as raised:
                open_image(tmp_path / "a.png")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert not isinstance(raised.value, ImageError)
