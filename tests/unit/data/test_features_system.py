"""A feature cache and the system: files larger than the memory, handles that run out, images that need too much."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from toy_source import ToySource

from cobra_kit.data.features import FeatureCache
from cobra_kit.data.image_folder import ImageFolder
from cobra_kit.data.images import LiveImages
from cobra_kit.errors import CobraError, DataError


def cache(model, source, folder, **options):
    return FeatureCache.of(model, source, source.image_ids("train"), folder, **options)


LARGE, COUNT = 10_000_000, 30_000
GIANT = LARGE * COUNT  # tokens of 6 float16: 3.3 TiB

OPEN = """
import resource, sys
from pathlib import Path
from cobra_kit.data.features import FeatureCache
features = FeatureCache(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
values = features.load("last.png").values
values[0, 0] = 7  # its own memory, not the file's
assert features.load("last.png").values[0].tolist() == [0, 1, 2, 3, 4, 5], features.load("last.png").values
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
"""


def test_a_cache_larger_than_the_memory_opens(tmp_path):
    with open(tmp_path / "features.npy", "wb") as file:
        description = {"descr": "<f2", "fortran_order": False, "shape": (GIANT + 1, 6)}
        np.lib.format.write_array_header_1_0(file, description)
        file.seek(GIANT * 12, os.SEEK_CUR)
        file.write(np.arange(6, dtype=np.float16).tobytes())
    shapes = [[LARGE, None], [1, None]]
    header = {"identity": {}, "width": 6, "shapes": shapes, "shape_of": [*[0] * COUNT, 1], "unreadable": {}}
    names = [*(f"{number}.png" for number in range(COUNT)), "last.png"]
    (tmp_path / "header.json").write_text(json.dumps({**header, "pictures": names}))
    done = subprocess.run([sys.executable, "-c", OPEN, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EMFILE, errno.EACCES, errno.EIO])
def test_what_the_system_refuses_is_not_called_damage(model, tmp_path, monkeypatch, number):
    features = cache(model, ToySource(3), tmp_path)

    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("numpy.lib.format.open_memmap", refused)
    with pytest.raises(CobraError, match=f"the feature cache cannot be opened: {os.strerror(number)}\n") as raised:
        cache(model, ToySource(3), tmp_path)
    assert not isinstance(raised.value, DataError)
    assert "leave it" in raised.value.hint
    assert (features.folder / "features.npy").exists()


def test_no_file_handle_left_while_a_cache_is_opened(model, tmp_path):
    folder = cache(model, ToySource(3), tmp_path).folder
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = os.dup(0)
    os.close(low)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (low, limits[1]))
        with pytest.raises(CobraError, match="cannot be opened: Too many open files"):
            FeatureCache(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04 not an array"])
def test_what_is_no_array_is_damage(model, tmp_path, content):
    folder = cache(model, ToySource(3), tmp_path).folder
    (folder / "features.npy").write_bytes(content)
    with pytest.raises(DataError, match="the feature cache is damaged"):
        FeatureCache(folder)


def test_another_type_of_number_is_damage(model, tmp_path):
    folder = cache(model, ToySource(3), tmp_path).folder
    np.save(folder / "features.npy", np.zeros((12, 6), dtype=np.float32))
    with pytest.raises(DataError, match="the feature cache is damaged"):
        FeatureCache(folder)


class Greedy(ToySource):
    """One image that takes more memory than there is."""

    def image(self, image_id):
        if image_id == "p7.png":
            raise MemoryError
        return super().image(image_id)


def test_an_image_that_takes_too_much_memory_is_left_out_and_counted(model, tmp_path):
    source = Greedy(100)
    for images in (
        cache(model, source, tmp_path),
        LiveImages(model, source, source.image_ids("train"), tmp_path),
    ):
        assert images.unreadable == {"p7.png": "there is not enough memory for this image"}
        assert images.load("p8.png").shape.num_tokens == 4


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory"), torch.OutOfMemoryError("CUDA")]
)
def test_a_batch_that_takes_too_much_memory_is_encoded_one_by_one(model, tmp_path, error):
    source, forward = ToySource(100), model.vision_encoder.forward
    greedy = model.processor.preprocess(source.image("p7.png")).tensors["pixels"]
    sizes = []

    def limited(images, shapes):
        sizes.append(len(shapes))
        if len(shapes) > 4 or any(torch.equal(image, greedy) for image in images["pixels"]):
            raise error
        return forward(images, shapes)

    model.vision_encoder.forward = limited
    features = cache(model, source, tmp_path, batch_size=50)
    assert features.unreadable == {"p7.png": "there is not enough memory for this image"}
    assert len(features) == 99
    assert {1, 50} <= set(sizes)


def test_memory_that_is_short_for_every_image_stops_the_run(model, tmp_path):
    def exhausted(images, shapes):
        raise MemoryError

    model.vision_encoder.forward = exhausted
    with pytest.raises(DataError, match="pictures cannot be read so far, more than 1%"):
        cache(model, ToySource(100), tmp_path)


def test_images_whose_names_are_not_utf_8_have_features(model, tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    names = ["\udce9.bmp", "b.bmp"]
    for name in names:
        Image.new("RGB", (16, 16), "red").save(root / name, "BMP")
    folder = ImageFolder(root)

    class Source(ToySource):
        def __init__(self, names):
            super().__init__(0)
            self._names, self.fingerprint = names, folder.fingerprint(names)

        def image(self, image_id):
            return folder.image(image_id)

        def image_ids(self, split):
            return tuple(self._names)

    many = [*names, *(f"{number}.bmp" for number in range(200))]
    for name in many[2:]:
        (root / name).hardlink_to(root / "b.bmp")
    source = Source([*many, "\udcff.bmp"])
    assert cache(model, source, tmp_path / "features").load(names[0]).shape.num_tokens == 4
    live = LiveImages(model, source, source.image_ids("train"), tmp_path)
    again = LiveImages(model, source, source.image_ids("train"), tmp_path)
    assert live.unreadable == again.unreadable == {"\udcff.bmp": "no such image file"}
    assert again.shape(names[0]).num_tokens == 4
