from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit_scenes import SPLITS, Scene, SceneDataset, Split
from cobra_kit_scenes.sampling import KINDS, sample_scene
from cobra_kit_scenes.splits import scene_of, split_of
from cobra_kit_scenes.vocabulary import COLOR_NAMES, IMAGE, LETTERS, SHAPES, SIDES, WORDS


@given(st.integers(0, 2**32))
def test_things_lie_in_the_image_and_do_not_touch(seed: int) -> None:
    scene = sample_scene(Random(seed))
    boxes = [item.box for item in scene.objects] + ([scene.text.box] if scene.text else [])
    assert boxes
    for box in boxes:
        assert 0 < box.x0 < box.x1 < IMAGE
        assert 0 < box.y0 < box.y1 < IMAGE
    for index, box in enumerate(boxes):
        assert not any(box.touches(other, 2) for other in boxes[:index])
    for item in scene.objects:
        smallest, largest = SIDES[item.size]
        assert smallest <= item.box.x1 - item.box.x0 == item.box.y1 - item.box.y0 <= largest
    assert len(scene.pairs) == len(scene.objects) <= 5


@given(st.integers(0, 2**32))
def test_a_scene_survives_json(seed: int) -> None:
    scene = sample_scene(Random(seed))
    assert Scene.from_json(scene.to_json()) == scene


def test_every_kind_count_color_shape_letter_and_word_occurs() -> None:
    scenes = [sample_scene(Random(seed)) for seed in range(3000)]
    assert {scene.kind for scene in scenes} == set(KINDS)
    assert {len(scene.objects) for scene in scenes} == {0, 1, 2, 3, 4, 5}
    assert {item.pair for scene in scenes for item in scene.objects} == {
        (color, shape) for color in COLOR_NAMES for shape in SHAPES
    }
    assert {scene.text.text for scene in scenes if scene.text} == {*LETTERS, *WORDS}
    assert {item.size for scene in scenes for item in scene.objects} == set(SIDES)


def test_colors_say_nothing_about_shapes() -> None:
    pairs = Counter(item.pair for seed in range(6000) for item in sample_scene(Random(seed)).objects)
    expected = pairs.total() / 36
    chi_square = sum((count - expected) ** 2 / expected for count in pairs.values())
    assert chi_square < 66.6  # 35 degrees of freedom, p = 0.001; the seeds are fixed


def test_a_signature_ignores_order_and_looks_but_not_places() -> None:
    scene = next(s for s in map(sample_scene, map(Random, range(50))) if len(s.objects) > 1)
    turned = Scene(scene.kind, scene.objects[::-1], scene.text, scene.style + 1)
    assert turned.signature() == scene.signature()
    first = scene.objects[0]
    moved = type(first)(first.shape, first.color, first.size, type(first.box)(*(v + 4 for v in first.box)))
    assert Scene(scene.kind, (moved, *scene.objects[1:]), scene.text, 0).signature() != scene.signature()


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_owns_its_layouts_for_every_seed(split: Split) -> None:
    scenes = [scene_of(seed, split, index) for seed in (0, 1) for index in range(40)]
    assert {split_of(scene) for scene in scenes} == {split}
    assert len({scene.style for scene in scenes}) == len(scenes)


def test_splits_share_no_layout_and_no_image(world: SceneDataset) -> None:
    owners: dict[str, str] = {}
    images: dict[bytes, str] = {}
    for split in world.splits:
        for scene in world.scenes(split):
            assert owners.setdefault(scene.signature(), split) == split
        for image in world.pixels(split)[:300]:
            assert images.setdefault(image.tobytes(), split) == split
    assert set(owners.values()) == set(SPLITS)
