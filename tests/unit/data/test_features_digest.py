"""Features that are not what was computed are noticed, the error names the folder, and its remedy works."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading

import numpy as np
import pytest
import torch
from toy_source import ToySource

from cobra_kit.data import sections
from cobra_kit.data.features import FeatureCache
from cobra_kit.errors import DataError


@pytest.fixture
def source():
    return ToySource(10)


@pytest.fixture(autouse=True)
def small_sections(monkeypatch):
    monkeypatch.setattr(sections, "SECTION_BYTES", 100)


def cache(model, source, folder, **options):
    return FeatureCache.of(model, source, source.image_ids("train"), folder, **options)


def values(features):
    return {name: features.load(name).values.numpy().copy() for name in features._number}


def zeros(file):
    content = file.read_bytes()
    file.write_bytes(content[:128] + bytes(len(content) - 128))


def flips(file):
    content = bytearray(file.read_bytes())
    for i in range(39):
        content[130 + 9 * i] ^= 64
    file.write_bytes(content)


def swapped(file):
    content = file.read_bytes()
    file.write_bytes(content[:128] + content[176:224] + content[128:176] + content[224:])


@pytest.mark.parametrize("damage", [zeros, flips, swapped])
def test_other_features_than_were_computed(model, source, tmp_path, damage):
    good = values(cache(model, source, tmp_path))
    folder = cache(model, source, tmp_path).folder
    damage(folder / "features.npy")
    features = cache(model, source, tmp_path)
    with pytest.raises(
        DataError, match=r"the feature cache is damaged \(features.npy is not what was written"
    ) as caught:
        values(features)
    assert str(folder) in str(caught.value)
    assert "Delete this folder" in caught.value.hint
    shutil.rmtree(folder)
    again = values(cache(model, source, tmp_path))
    assert again.keys() == good.keys()
    assert all(np.array_equal(again[name], good[name]) for name in good)


def test_what_nobody_reads_is_not_checked(model, source, tmp_path):
    folder = cache(model, source, tmp_path).folder
    content = bytearray((folder / "features.npy").read_bytes())
    content[-1] ^= 1
    (folder / "features.npy").write_bytes(content)
    features = cache(model, source, tmp_path)
    assert features.load("p0.png").values.shape == (4, 6)
    with pytest.raises(DataError, match=r"the digest around p9\.png differs"):
        features.load("p9.png")


def header_with(folder, change):
    header = json.loads((folder / "header.json").read_text())
    change(header)
    (folder / "header.json").write_text(json.dumps(header))


CHANGES = {
    "a shape": lambda h: h.update(shapes=[[4, [1, 4]]]),
    "two images": lambda h: h.update(pictures=[h["pictures"][1], h["pictures"][0], *h["pictures"][2:]]),
    "an unreadable one": lambda h: h.update(unreadable={"p3.png": "gone"}),
    "the data": lambda h: h["identity"].update(data="other"),
    "a digest": lambda h: h["sections"][0].__setitem__(1, "0" * 64),
    "no digests": lambda h: h.pop("sections"),
}


def test_a_header_that_was_changed(model, source, tmp_path):
    folder = cache(model, source, tmp_path).folder
    content = (folder / "header.json").read_bytes()
    for change in CHANGES.values():
        (folder / "header.json").write_bytes(content)
        header_with(folder, change)
        with pytest.raises(DataError, match=r"damaged .*the digest differs"):
            FeatureCache(folder)


UNSEALED = {
    "a number below zero": lambda h: h.update(shape_of=[-1] * 10),
    "a shape below zero": lambda h: h.update(shapes=[[-4, None]]),
    "a shape that is not there": lambda h: h.update(shape_of=[7] * 10),
    "names that are none": lambda h: h.update(pictures=[[]] * 10),
    "no names": lambda h: h.update(pictures=None),
    "giants": lambda h: h.update(shapes=[[2**60, None]]),
    "other features": lambda h: h["identity"].update(data="other"),
    "sections of nothing": lambda h: h.update(sections=[]),
    "no mapping of reasons": lambda h: h.update(unreadable=5),
}


def test_a_header_without_a_digest_is_not_believed_either(model, source, tmp_path):
    folder = cache(model, source, tmp_path).folder
    content = (folder / "header.json").read_bytes()
    identity = FeatureCache(folder).identity
    for change in UNSEALED.values():
        (folder / "header.json").write_bytes(content)
        header_with(folder, lambda header: header.pop("sha256"))
        header_with(folder, change)
        with pytest.raises(DataError, match="the feature cache is damaged"):
            FeatureCache(folder, identity)


@pytest.mark.parametrize("name", ["header.json", "features.npy"])
def test_any_other_content(model, source, tmp_path, name):
    folder = cache(model, source, tmp_path).folder
    for content in (b"", bytes(500), b"[" * 100_000, b'{"a": ' * 50_000, b"\xff" * 9, b"[]", b"7", b"{}"):
        (folder / name).write_bytes(content)
        with pytest.raises(DataError, match="the feature cache is damaged") as caught:
            FeatureCache(folder)
        assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["header.json", "features.npy"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: None])
def test_no_file_in_its_place(model, source, tmp_path, name, make):
    folder = cache(model, source, tmp_path).folder
    (folder / name).unlink()
    make(folder / name)
    errors = []

    def reader():
        with pytest.raises(DataError, match="the feature cache is damaged") as caught:
            cache(model, source, tmp_path)
        errors.append(caught.value)

    thread = threading.Thread(target=reader, daemon=True)
    thread.start()
    thread.join(200)
    assert errors


def test_a_cache_that_was_written_before_there_were_digests(model, source, tmp_path):
    good = values(cache(model, source, tmp_path))
    folder = cache(model, source, tmp_path).folder
    header_with(folder, lambda header: [header.pop(key) for key in ("sha256", "sections")])
    assert all(np.array_equal(value, good[name]) for name, value in values(cache(model, source, tmp_path)).items())


def test_the_folder_of_other_features_under_this_name(model, source, tmp_path):
    first = cache(model, source, tmp_path).folder
    with torch.no_grad():
        model.vision_encoder.widen.bias[0] += 1
    second = cache(model, source, tmp_path).folder
    shutil.rmtree(second)
    first.rename(second)
    with pytest.raises(DataError, match=re.escape("of other data or another encoder than its name says")):
        cache(model, source, tmp_path)
