"""Scenes as arrays: regions, boxes, letters and counts agree with the scene and with its pixels."""

from __future__ import annotations

import numpy as np
import pytest

from cobra_kit_scenes.encoders.scene_instances import (
    ALPHABET,
    CELL,
    COLOR,
    LETTER,
    MAX_THINGS,
    ORDER,
    SHAPE,
    WORD,
    letters,
    things_of,
)
from cobra_kit_scenes.layout import Box, Scene, SceneObject, SceneText
from cobra_kit_scenes.splits import scene_of
from cobra_kit_scenes.vocabulary import COLOR_NAMES, SHAPES, WORDS

SCENES = [scene_of(0, "towers", index) for index in range(60)]


def test_objects_carry_their_attributes() -> None:
    scene = Scene("pair", (SceneObject("star", "blue", "large", Box(2, 44, 22, 64)),), None, 0)
    things = things_of([scene], (8, 8))
    star = things.attributes[0, 0]
    assert (COLOR_NAMES[star[COLOR]], SHAPES[star[SHAPE]], star[CELL]) == ("blue", "star", 6)
    assert (star[[LETTER, WORD, ORDER]] == -1).all()
    assert things.present().sum() == 1
    assert things.boxes[0, 0].tolist() == [2 / 64, 44 / 64, 22 / 64, 1.0]
    assert things.centers[0, 0] == (54 // 8) * 8 + 12 // 8
    assert things.counts[0].sum() == 3, "one object, one blue one, one star"


def test_a_word_is_its_letters() -> None:
    scene = Scene("word", (), SceneText("MAP", Box(8, 20, 48, 36)), 0)
    things = things_of([scene], (8, 8))
    word = things.attributes[0, :3]
    assert "".join(ALPHABET[i] for i in word[:, LETTER]) == "MAP"
    assert word[:, ORDER].tolist() == [0, 1, 2]
    assert {WORDS[i] for i in word[:, WORD]} == {"MAP"}
    (_, m), (_, a), (_, p) = letters(scene.text)  # type: ignore[arg-type]
    assert 8 <= m.x0 < m.x1 == a.x0 < a.x1 == p.x0 < p.x1 <= 48
    assert m.x1 - m.x0 > p.x1 - p.x0, "an M is wider than a P"
    left = [np.flatnonzero((things.instances[0] == i + 1).any(0)).min() for i in range(3)]
    assert left == sorted(left)


@pytest.mark.parametrize("grid", [(8, 8), (4, 4), (16, 16)])
def test_regions_show_what_the_pixels_show(grid: tuple[int, int]) -> None:
    things = things_of(SCENES, grid)
    side = 64 // grid[0]
    for row, scene in enumerate(SCENES):
        count = len(scene.objects) + (len(scene.text.text) if scene.text else 0)
        assert count <= MAX_THINGS
        assert things.present()[row].tolist() == [i < count for i in range(MAX_THINGS)]
        regions = things.regions[row]
        assert set(range(count)) <= set(regions.tolist()), "every thing has its centre's token"
        for place in range(grid[0] * grid[1]):
            y, x = side * (place // grid[1]), side * (place % grid[1])
            patch = things.instances[row, y : y + side, x : x + side]
            if regions[place] < 0:
                assert (patch > 0).mean() < 0.6
            elif place not in things.centers[row]:
                assert (patch == regions[place] + 1).any()
        assert things.counts[row, 0] == len(scene.objects)


def test_progress_is_told() -> None:
    calls: list[tuple[int, int]] = []
    things_of(SCENES[:3], (8, 8), lambda done, total: calls.append((done, total)))
    assert calls == [(0, 3)]
