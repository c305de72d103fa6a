"""Image files that somebody built to harm: refused by name, before memory or time is spent on them."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
from PIL import Image

from cobra_kit.errors import ImageError
from cobra_kit.images import open_image, read_image_file

MOST_MEMORY = 80 << 20


def refused(path: Path, match: str) -> None:
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(ImageError, match=match) as caught:
            open_image(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 20
    assert str(path) in str(caught.value)
    assert caught.value.hint


def encoded(kind: str, size: tuple[int, int] = (8, 6), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (1, 2, 3)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "MPO"])
def test_formats_that_are_read(tmp_path: Path, kind: str) -> None:
    (tmp_path / "image").write_bytes(encoded(kind))
    assert open_image(tmp_path / "image").size == (8, 6)


@pytest.mark.parametrize("kind", ["EPS", "ICO", "PCX", "SGI", "TGA", "IM", "MSP", "DDS", "SPIDER", "ICNS", "PDF"])
def test_other_formats_are_not(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("another program was started"))
    image = Image.new({"MSP": "1", "SPIDER": "F"}.get(kind, "RGB"), (16, 16))
    image.save(tmp_path / "image.png", kind)
    refused(tmp_path / "image.png", r"not an image in a format that is read \(JPEG, PNG, .*\); it begins with")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "x.png")
    errors: list[str] = []

    def read() -> None:
        for reader in (open_image, read_image_file):
            with pytest.raises(ImageError) as caught:
                reader(tmp_path / "x.png")
            errors.append(str(caught.value))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(200)
    assert len(errors) == 2
    assert all("pipe or a device" in error for error in errors)


@pytest.mark.parametrize("size", [100 << 20, 1000 << 20, 1 << 40])
@pytest.mark.parametrize(
    "start", [b"", encoded("PNG"), encoded("JPEG"), encoded("WEBP"), encoded("BMP"), encoded("TIFF")]
)
def test_a_sparse_giant(tmp_path: Path, size: int, start: bytes) -> None:
    with (tmp_path / "x.png").open("wb") as file:
        file.write(start)
        file.truncate(size)
    refused(tmp_path / "x.png", r"the file has [\d.]+ GiB|[\d,.]+ GiB")


def png(width: int, height: int, packed: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("lifted", [False, True])
@pytest.mark.parametrize("size", [(20_000, 20_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)])
def test_more_pixels_than_can_be_decoded(
    tmp_path: Path, size: tuple[int, int], lifted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lifted:  # as some libraries do when they are imported
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "x.png").write_bytes(png(*size, zlib.compress(bytes(1 << 20))))
    refused(tmp_path / "x.png", "too large to decode safely")


def test_the_limit_of_pixels_can_be_raised_as_the_hint_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").write_bytes(encoded("PNG", (64, 64)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    refused(tmp_path / "x.png", "set PIL.Image.MAX_IMAGE_PIXELS to a larger number")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64)
    assert open_image(tmp_path / "x.png").size == (64, 64)


def test_a_jpeg_of_thousands_of_scans(tmp_path: Path) -> None:
    content = encoded("JPEG", (4000, 4000), progressive=True)
    scan = content[content.rindex(b"\xff\xda") : content.rindex(b"\xff\xd9")]
    (tmp_path / "x.jpg").write_bytes(content[:-2] + scan * 3000 + b"\xff\xd9")
    refused(tmp_path / "x.jpg", "would take too long to decode")


def test_a_large_image_that_is_one_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (6000, 4000), (9, 8, 7)).save(tmp_path / "x.bmp")
    assert (tmp_path / "x.bmp").stat().st_size > 64 << 20
    assert open_image(tmp_path / "x.bmp").size == (6000, 4000)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no such system")
def test_a_file_of_the_system_s(tmp_path: Path) -> None:
    os.symlink("/proc/self/maps", tmp_path / "x.png")
    refused(tmp_path / "x.png", "larger than it says|empty")
