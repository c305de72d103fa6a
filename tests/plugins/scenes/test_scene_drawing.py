from __future__ import annotations

from random import Random

import numpy as np
import pytest

from cobra_kit_scenes import caption, dense_targets, draw
from cobra_kit_scenes.captions import place_name
from cobra_kit_scenes.dense import TEXT_CLASS
from cobra_kit_scenes.layout import Box, Scene, SceneObject, SceneText
from cobra_kit_scenes.sampling import sample_scene
from cobra_kit_scenes.vocabulary import COLOR_NAMES, COLORS, IMAGE, LETTERS, SHAPES

BOX = Box(20, 22, 40, 42)


def scene_with(shape: str, color: str = "red", style: int = 5) -> Scene:
    return Scene("single", (SceneObject(shape, color, "large", BOX),), None, style)


def written(text: str, box: Box, style: int = 5) -> Scene:
    return Scene("letter", (), SceneText(text, box), style)


@pytest.mark.parametrize("color", COLOR_NAMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_object_has_its_color_at_its_centre_and_the_background_is_dark(shape: str, color: str) -> None:
    for style in range(5):
        image = draw(scene_with(shape, color, style=style)).astype(int)
        assert image.shape == (IMAGE, IMAGE, 3)
        centre = image[30:34, 28:32].mean(axis=(0, 1))
        distances = {name: np.abs(centre - value).max() for name, value in COLORS.items()}
        assert min(distances, key=distances.__getitem__) == color
        assert distances[color] < 20
        assert image[:16].max() < 110


@pytest.mark.parametrize("shape", SHAPES)
def test_an_object_fills_its_box_and_nothing_else(shape: str) -> None:
    things = np.argwhere(dense_targets(scene_with(shape)).objectness)
    (y0, x0), (y1, x1) = things.min(axis=0), things.max(axis=0) + 1
    assert np.abs(np.array([x0, y0, x1, y1]) - BOX).max() <= 1
    bright = np.argwhere(draw(scene_with(shape)).max(axis=2) > 190)
    assert (bright.min(axis=0) >= (22, 20)).all()
    assert (bright.max(axis=0) < (42, 40)).all()


def test_shapes_differ_in_more_than_a_few_pixels() -> None:
    masks = {shape: dense_targets(scene_with(shape)).objectness for shape in SHAPES}
    for a in SHAPES:
        for b in SHAPES:
            assert a == b or (masks[a] ^ masks[b]).sum() > 40, (a, b)


def test_letters_differ_and_stay_in_their_box() -> None:
    box = Box(30, 30, 42, 42)
    masks = {letter: dense_targets(written(letter, box)).objectness for letter in LETTERS}
    for letter, mask in masks.items():
        assert 20 < mask.sum() < 120, letter
        assert mask[30:42, 30:42].sum() == mask.sum()
    for a in LETTERS:
        for b in LETTERS:
            assert a == b or (masks[a] ^ masks[b]).sum() > 8, (a, b)


def test_a_word_is_white_and_as_wide_as_its_box() -> None:
    image = draw(written("BOAT", Box(4, 20, 60, 36)))
    columns = np.argwhere((image.min(axis=2) > 200).any(axis=0))
    assert columns.min() < 10
    assert columns.max() > 52


def test_images_are_a_function_of_the_scene_and_looks_change_with_the_style() -> None:
    assert np.array_equal(draw(scene_with("star")), draw(scene_with("star")))
    assert not np.array_equal(draw(scene_with("star")), draw(scene_with("star", style=6)))


def test_dense_targets_agree_with_the_scene() -> None:
    kinds = set()
    for seed in range(60):
        scene = sample_scene(Random(seed))
        kinds.add(scene.kind)
        targets = dense_targets(scene)
        things = len(scene.objects) + (scene.text is not None)
        assert targets.boxes.shape == (things, 4)
        assert set(np.unique(targets.instances)) == set(range(things + 1))
        assert targets.shape_map().max() == targets.shapes.max() + 1
        for index, item in enumerate(scene.objects):
            mask = targets.instances == index + 1
            assert set(targets.color_map()[mask]) == {COLOR_NAMES.index(item.color) + 1}
            assert targets.boxes[index] * IMAGE == pytest.approx(item.box)
        if scene.text is not None:
            assert targets.shapes[-1] == TEXT_CLASS
            assert set(targets.color_map()[targets.instances == things]) == {0}
    assert len(kinds) == 6


def test_a_caption_names_everything_in_random_order() -> None:
    scene = Scene(
        "tagged",
        (
            SceneObject("circle", "red", "small", Box(2, 2, 14, 14)),
            SceneObject("star", "orange", "large", Box(22, 22, 42, 42)),
        ),
        SceneText("B", Box(44, 48, 58, 62)),
        0,
    )
    sentences = {caption(scene, Random(seed)) for seed in range(60)}
    places = (
        "a small red circle at the top left",
        "a large orange star at the center",
        "the letter B at the bottom right",
    )
    assert "{}, {} and {}".format(*places) in sentences
    assert len(sentences) == 6


def test_places_are_the_cells_of_a_grid() -> None:
    def name(x: int, y: int) -> str:
        return place_name(Box(x - 2, y - 2, x + 2, y + 2))

    assert [name(10, 10), name(32, 10), name(54, 32), name(32, 32)] == ["top left", "top", "right", "center"]
