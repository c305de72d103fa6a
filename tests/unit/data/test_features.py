"""Cached features equal the encoder's own, and a computation that was cut short is never taken for a whole one."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import torch
from toy_source import ToySource

from cobra_kit.data.features import FeatureCache
from cobra_kit.errors import DataError
from cobra_kit.events import Message, Progress
from cobra_kit.locks import locked
from cobra_kit.model import compose


@pytest.fixture
def source():
    return ToySource(10)


def cache(model, source, folder, **options):
    return FeatureCache.of(model, source, source.image_ids("train"), folder, **options)


def test_cached_equals_live_within_half_precision(model, source, tmp_path):
    features = cache(model, source, tmp_path, batch_size=3)
    assert len(features) == 10
    for name in source.image_ids("train"):
        prepared = model.processor.preprocess(source.image(name))
        live = model.vision_encoder({k: t[None] for k, t in prepared.tensors.items()}, (prepared.shape,)).values[0]
        cached = features.features(name)
        assert cached.shape == prepared.shape == features.shape(name)
        assert cached.values.dtype == torch.float16
        torch.testing.assert_close(cached.values.float(), live.detach(), rtol=2e-3, atol=1e-4)


def test_the_loss_with_cached_features_is_the_live_loss(model, source, tmp_path):
    features = cache(model, source, tmp_path)
    rows = source.rows[:4]
    live = [model.processor.row(r.turns, [source.image(r.images[0])]) for r in rows]
    cached = [model.processor.row(r.turns, [features.load(r.images[0])]) for r in rows]
    losses = [model(model.processor.collate(batch)).item() for batch in (live, cached)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_images_of_several_sizes_share_a_file(model, tmp_path):
    class Sizes(ToySource):
        def image(self, image_id):
            side = 8 * (1 + int(image_id[1:-4]) % 3)
            return super().image(image_id).resize((side, 16))

    source = Sizes(7)
    features = cache(model, source, tmp_path, batch_size=4)
    assert [features.shape(f"p{i}.png").grid for i in range(3)] == [(2, 1), (2, 2), (2, 3)]
    expected = model.processor.preprocess(source.image("p5.png"))
    live = model.vision_encoder({k: t[None] for k, t in expected.tensors.items()}, (expected.shape,)).values[0]
    torch.testing.assert_close(features.features("p5.png").values.float(), live.detach(), rtol=2e-3, atol=1e-4)
    assert np.load(features.folder / "features.npy").shape == (2 * 1 * 3 + 2 * 2 * 2 + 2 * 3 * 2, 6)


def test_features_are_computed_once_per_key(model, source, toy_recipe, tmp_path):
    first = cache(model, source, tmp_path)
    seen = len(source.decoded)
    assert cache(model, source, tmp_path).folder == first.folder
    assert cache(compose(toy_recipe), source, tmp_path).folder == first.folder, "an arm with the same encoder"
    assert len(source.decoded) == seen
    with torch.no_grad():
        model.vision_encoder.widen.bias[0] += 1
    others = [
        cache(model, source, tmp_path),
        cache(compose(toy_recipe, seed=9), source, tmp_path),
        cache(compose(toy_recipe, overrides=["model.vision_encoder.width=7"]), source, tmp_path),
        cache(compose(toy_recipe), ToySource(10, name="other"), tmp_path),
        FeatureCache.of(compose(toy_recipe), source, ["p1.png"], tmp_path),
    ]
    assert len({first.folder, *(other.folder for other in others)}) == 6


def test_the_model_s_modes_are_left_as_they_were(model, source, tmp_path):
    model.train()
    model.train_only({"vision_encoder"})
    cache(model, source, tmp_path)
    assert model.vision_encoder.training
    assert all(p.grad is None and p.requires_grad for p in model.vision_encoder.parameters())


def test_progress_is_told(model, source, tmp_path):
    events = []
    cache(model, source, tmp_path, report=events.append, batch_size=4)
    assert [(e.task, e.done, e.total) for e in events if isinstance(e, Progress)] == [
        ("features of toy-plugin/patches", done, 10) for done in (4, 8, 10)
    ]


class Killed(BaseException):
    pass


def test_a_killed_computation_leaves_nothing_that_looks_whole(model, source, tmp_path):
    """An exception cleans up; a kill does not, so the folder it leaves is put there by hand."""

    def kill(event):
        if isinstance(event, Progress) and event.done == 8:
            (half,) = tmp_path.glob(".*.tmp")
            half.rename(tmp_path / "kept")
            raise Killed

    with pytest.raises(Killed):
        cache(model, source, tmp_path, report=kill, batch_size=4)
    key = next(tmp_path.glob(".*.lock")).name.split(".")[1]
    (tmp_path / "kept").rename(tmp_path / f".{key}.99-dead.tmp")
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [f".{key}.99-dead.tmp"]
    features = cache(model, source, tmp_path)
    assert len(features) == 10
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [key]


@pytest.mark.parametrize("name", ["header.json", "features.npy"])
def test_a_damaged_cache_is_refused(model, source, tmp_path, name):
    folder = cache(model, source, tmp_path).folder
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="the feature cache is damaged"):
        cache(model, source, tmp_path)


def test_a_second_process_waits_for_the_first(model, source, tmp_path):
    features = cache(model, source, tmp_path / "probe")
    key, folder, events = features.folder.name, tmp_path / "shared", []
    folder.mkdir()
    reported = threading.Event()

    def report(event):
        events.append(event)
        reported.set()

    caches = []
    second = threading.Thread(target=lambda: caches.append(cache(model, source, folder, report=report)))
    with locked(folder / f".{key}.lock", lambda: None) as alone:
        assert alone
        second.start()
        assert reported.wait(200)
        seen = len(source.decoded)
        features.folder.rename(folder / key)  # the first one is done
    second.join()
    assert [e.text for e in events if isinstance(e, Message)] == [
        "features of toy-plugin/patches: another process is computing them; waiting"
    ]
    assert len(caches[0]) == 10
    assert len(source.decoded) == seen, "nothing was computed twice"


def test_features_beyond_half_precision_are_refused(model, source, tmp_path):
    with torch.no_grad():
        model.vision_encoder.widen.bias[0] = 1e6
    with pytest.raises(DataError, match=r"picture p0.png: the encoder's features are infinite, NaN, or beyond 65,504"):
        cache(model, source, tmp_path)


def test_unreadable_images_are_listed_and_left_out(model, tmp_path):
    events = []
    features = cache(model, ToySource(100, broken=(7,)), tmp_path, report=events.append)
    assert features.unreadable == {"p7.png": "the file is truncated"}
    assert "p7.png" not in features
    assert len(features) == 99
    with pytest.raises(KeyError):
        features.features("p7.png")
    listed = json.loads((tmp_path / f"unreadable-{features.folder.name}.json").read_text())
    assert listed == {"pictures": 100, "unreadable": {"p7.png": "the file is truncated"}}
    assert any("1 of 100 pictures cannot be read" in e.text for e in events if isinstance(e, Message))


def test_a_source_without_images_has_no_features(model, tmp_path):
    assert len(cache(model, ToySource(0), tmp_path)) == 0
