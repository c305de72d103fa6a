from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from cobra_kit.errors import ImageError
from cobra_kit.images import mean_colour, open_image, resize, to_tensor

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(width: int, height: int, channels: int = 3) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def same(left: Image.Image, right: Image.Image) -> bool:
    return left.size == right.size and np.array_equal(np.asarray(left), np.asarray(right))


class TestOpen:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP"])
    def test_a_path_its_bytes_and_the_image_agree(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "picture"
        path.write_bytes(encoded(noise(9, 5), kind, **({"lossless": True} if kind == "WEBP" else {})))
        image = open_image(path)
        assert (image.mode, image.size) == ("RGB", (9, 5))
        assert same(image, open_image(path.read_bytes()))
        assert same(image, open_image(str(path)))
        assert same(image, open_image(Image.open(path)))
        if kind in {"PNG", "BMP", "WEBP"}:
            assert same(image, noise(9, 5))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_applied_once(self, orientation: int) -> None:
        upright = noise(6, 4)
        undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> Pillow transpose that stores it so
        stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
        exif = Image.Exif()
        exif[0x0112] = orientation
        opened = open_image(encoded(stored, "PNG", exif=exif))
        assert same(opened, upright)
        assert same(open_image(opened), upright)

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    @pytest.mark.parametrize("block", [b"MM\x00*\xff\xff\xff\xff\x01", b"no EXIF at all", b"II"])
    def test_a_damaged_exif_block_counts_as_absent(self, block: bytes) -> None:
        image = noise(6, 4)
        assert same(open_image(encoded(image, "PNG", exif=b"Exif\x00\x00" + block)), image)

    def test_alpha_is_laid_on_white(self) -> None:
        image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
        image.putpixel((1, 0), (0, 0, 255, 255))
        opened = open_image(encoded(image, "PNG"))
        assert [opened.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 255)]

    def test_half_transparent_grey_is_mixed_with_white(self) -> None:
        opened = open_image(encoded(Image.new("LA", (1, 1), (0, 128)), "PNG"))
        assert opened.getpixel((0, 0)) == (127, 127, 127)

    def test_a_transparent_palette_entry_is_white_and_the_others_keep_their_colour(self) -> None:
        image = Image.new("P", (2, 1))
        image.putpalette([10, 20, 30, 200, 100, 50])
        image.putpixel((1, 0), 1)
        opened = open_image(encoded(image, "PNG", transparency=0))
        assert [opened.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (200, 100, 50)]

    @pytest.mark.parametrize(("value", "expected"), [(0, 0), (65535, 255), (257 * 100, 100)])
    def test_sixteen_bit_grey_is_scaled_not_clipped(self, value: int, expected: int) -> None:
        image = Image.fromarray(np.full((2, 3), value, dtype=np.uint16))
        assert open_image(encoded(image, "PNG")).getpixel((0, 0)) == (expected,) * 3

    def test_an_animation_gives_its_first_frame(self) -> None:
        frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
        content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        assert open_image(content).getpixel((0, 0)) == (255, 0, 0)

    def test_other_modes_become_rgb(self) -> None:
        assert open_image(encoded(noise(5, 5).convert("CMYK"), "JPEG")).mode == "RGB"
        assert open_image(noise(5, 5).convert("1")).mode == "RGB"

    def test_the_image_given_is_left_as_it_is(self) -> None:
        given_image = noise(5, 4)
        opened = open_image(given_image)
        opened.putpixel((0, 0), (1, 2, 3))
        assert same(given_image, noise(5, 4))


class TestBadImages:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"gone\.jpg: no such image file\n +Check the image folder"):
            open_image(tmp_path / "gone.jpg")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="cannot be read: Is a directory"):
            open_image(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "none.png").touch()
        with pytest.raises(ImageError, match=r"none\.png: the file is empty \(0 bytes\)\n +Fetch the file again"):
            open_image(tmp_path / "none.png")

    def test_not_an_image_says_how_it_begins(self, tmp_path: Path) -> None:
        (tmp_path / "page.jpg").write_bytes(b"<html><body>404 not found")
        with pytest.raises(ImageError, match=r"page\.jpg: not an image .* it begins with b'<html><body>'"):
            open_image(tmp_path / "page.jpg")

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
    def test_truncated(self, tmp_path: Path, kind: str) -> None:
        content = encoded(noise(64, 64), kind)
        (tmp_path / "half").write_bytes(content[: len(content) // 2])
        with pytest.raises(ImageError, match=r"half: the file is truncated, it ends before the image does.*\n +Fetch"):
            open_image(tmp_path / "half")

    def test_a_truncated_lazy_pillow_image_is_named_too(self, tmp_path: Path) -> None:
        content = encoded(noise(64, 64), "JPEG")
        (tmp_path / "half.jpg").write_bytes(content[: len(content) // 2])
        with pytest.raises(ImageError, match=r"half\.jpg: the file is truncated"):
            open_image(Image.open(tmp_path / "half.jpg"))

    def test_damaged(self) -> None:
        content = bytearray(encoded(noise(64, 64), "PNG"))
        content[60:80] = bytes(20)
        with pytest.raises(ImageError, match=r"image of \d+ bytes: the image is damaged and cannot be decoded"):
            open_image(bytes(content))

    def test_decompression_bomb(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(ImageError, match=r"too large to decode safely: .*\n +Scale it down first"):
            open_image(encoded(noise(64, 64), "PNG"))

    def test_no_pixels(self) -> None:
        with pytest.raises(ImageError, match=r"image: the image has no pixels: 5 x 0 \(height x width\)"):
            open_image(Image.new("RGB", (0, 5)))

    @pytest.mark.parametrize("mode", ["I", "F"])
    def test_no_range_is_guessed(self, mode: str) -> None:
        with pytest.raises(ImageError, match=f"mode '{mode}' .* no agreed range"):
            open_image(Image.new(mode, (2, 2)))

    @settings(max_examples=150, deadline=None)
    @given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]))
    def test_whatever_the_bytes_an_image_or_an_image_error(self, data: st.DataObject, kind: str) -> None:
        content = bytearray(encoded(noise(17, 13), kind))
        for _ in range(data.draw(st.integers(0, 4))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(content)))
        try:
            image = open_image(bytes(content[:cut] if data.draw(st.booleans()) else content))
        except ImageError as error:
            assert error.hint  # noqa: PT017  (either outcome is right)
        else:
            assert image.mode == "RGB"


SIZES = [(40, 30), (30, 40), (33, 33), (101, 37), (16, 16), (5, 300), (300, 5)]


class TestResize:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
    def test_naive_is_torchvision_resize(self, size: tuple[int, int], interpolation: str) -> None:
        mode = v2.InterpolationMode(interpolation)
        expected = v2.Resize((16, 24), interpolation=mode, antialias=True)(noise(*size))
        assert same(resize(noise(*size), (16, 24), "naive", interpolation=interpolation), expected)  # type: ignore[arg-type]

    @pytest.mark.parametrize("size", SIZES)
    def test_crop_is_torchvision_resize_of_the_shorter_edge_and_centre_crop(self, size: tuple[int, int]) -> None:
        mode = v2.InterpolationMode.BICUBIC
        transform = v2.Compose([v2.Resize(27, interpolation=mode, antialias=True), v2.CenterCrop(27)])
        assert same(resize(noise(*size), (27, 27), "crop"), transform(noise(*size)))

    def test_crop_covers_a_target_that_is_not_square(self) -> None:
        image = Image.new("RGB", (100, 100), "white")
        out = resize(image, (10, 30), "crop")
        assert out.size == (30, 10)
        assert np.asarray(out).min() == 255

    @pytest.mark.parametrize("size", SIZES)
    def test_letterbox_is_torchvision_pad_and_resize(self, size: tuple[int, int]) -> None:
        side, fill = max(size), mean_colour(IMAGENET_MEAN)
        left, top = (side - size[0]) // 2, (side - size[1]) // 2
        pad = v2.Pad([left, top, side - size[0] - left, side - size[1] - top], fill=fill)
        mode = v2.InterpolationMode.BICUBIC
        expected = v2.Resize((24, 24), interpolation=mode, antialias=True)(pad(noise(*size)))
        assert same(resize(noise(*size), (24, 24), "letterbox", fill=fill), expected)

    def test_letterbox_bars_have_the_mean_colour_and_the_image_stays_whole(self) -> None:
        out = np.asarray(resize(Image.new("RGB", (40, 20), "red"), (40, 40), "letterbox", fill=(122, 116, 103)))
        assert (out[:10] == (122, 116, 103)).all()
        assert (out[30:] == (122, 116, 103)).all()
        assert (out[10:30] == (255, 0, 0)).all()

    def test_letterbox_to_a_wide_target_pads_to_its_aspect_ratio(self) -> None:
        out = np.asarray(resize(Image.new("RGB", (20, 20), "red"), (20, 40), "letterbox", fill=(0, 0, 255)))
        assert (out[:, :10] == (0, 0, 255)).all()
        assert (out[:, 10:30] == (255, 0, 0)).all()

    def test_an_image_of_the_right_size_is_unchanged_by_every_rule(self) -> None:
        for how in ("naive", "crop", "letterbox"):
            assert same(resize(noise(8, 6), (6, 8), how, fill=(0, 0, 0)), noise(8, 6))

    @settings(max_examples=100, deadline=None)
    @given(
        size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
        target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
        how=st.sampled_from(["naive", "crop", "letterbox"]),
    )
    def test_the_size_asked_for_and_no_foreign_colour(
        self, size: tuple[int, int], target: tuple[int, int], how: str
    ) -> None:
        out = resize(Image.new("RGB", size, (9, 9, 9)), target, how, fill=(9, 9, 9))  # type: ignore[arg-type]
        assert out.size == (target[1], target[0])
        assert (np.asarray(out) == 9).all()

    def test_letterbox_without_a_colour(self) -> None:
        with pytest.raises(ImageError, match="letterbox needs a fill colour"):
            resize(noise(4, 4), (2, 2), "letterbox")

    def test_no_pixels_to_resize_to(self) -> None:
        with pytest.raises(ImageError, match=r"cannot resize to 0 x 4 pixels"):
            resize(noise(4, 4), (0, 4), "naive")

    def test_unknown_rule_and_filter(self) -> None:
        with pytest.raises(ValueError, match="unknown resize rule 'stretch': one of naive, crop, letterbox"):
            resize(noise(4, 4), (2, 2), "stretch")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="unknown interpolation 'cubic'"):
            resize(noise(4, 4), (2, 2), "naive", interpolation="cubic")  # type: ignore[arg-type]


class TestToTensor:
    def test_is_torchvision_to_tensor_and_normalise(self) -> None:
        image = noise(13, 7)
        transform = v2.Compose(
            [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
        )
        out = to_tensor(image, IMAGENET_MEAN, IMAGENET_STD)
        assert (out.shape, out.dtype) == ((3, 7, 13), torch.float32)
        assert out.is_contiguous()
        torch.testing.assert_close(out, torch.Tensor(transform(image)), rtol=0, atol=1e-6)

    def test_the_mean_colour_is_nearly_zero(self) -> None:
        assert mean_colour((0.5, 0.5, 0.5)) == (127, 127, 127)
        image = Image.new("RGB", (2, 2), mean_colour(IMAGENET_MEAN))
        assert to_tensor(image, IMAGENET_MEAN, IMAGENET_STD).abs().max() < 1 / 255 / min(IMAGENET_STD)

    def test_only_rgb(self) -> None:
        with pytest.raises(ImageError, match="expected an RGB image, not mode L"):
            to_tensor(Image.new("L", (2, 2)), IMAGENET_MEAN, IMAGENET_STD)

    def test_bad_statistics(self) -> None:
        with pytest.raises(ValueError, match="need three values each"):
            to_tensor(noise(2, 2), (0.5,), (0.5,))
        with pytest.raises(ValueError, match="std above 0"):
            to_tensor(noise(2, 2), IMAGENET_MEAN, (1.0, 0.0, 1.0))


def test_importing_images_loads_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, cobra_kit.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
