"""The two losses: what is true, what is local, and what they teach."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cobra_kit_scenes import caption
from cobra_kit_scenes.drawing import draw
from cobra_kit_scenes.encoders.contrastive import Contrastive, SigmoidLoss
from cobra_kit_scenes.encoders.dense import Dense
from cobra_kit_scenes.encoders.probe import probe_tokens
from cobra_kit_scenes.encoders.recipe import TERMS
from cobra_kit_scenes.encoders.scene_instances import COLOR, SHAPE, things_of
from cobra_kit_scenes.encoders.text_tower import TextTower
from cobra_kit_scenes.splits import scene_of

SCENES = [scene_of(0, "towers", index) for index in range(48)]
THINGS = things_of(SCENES, (8, 8))
CAPTIONS = [caption(scene, Random(0)) for scene in SCENES]
IMAGES = np.stack([draw(scene) for scene in SCENES])
ROWS = np.arange(16)


def contrastive(**weights: float) -> Contrastive:
    torch.manual_seed(0)
    return Contrastive(24, THINGS, CAPTIONS, weights)


def dense(**weights: float) -> Dense:
    torch.manual_seed(0)
    return Dense(24, (8, 8), THINGS, IMAGES, weights)


def test_the_recipe_knows_the_terms() -> None:
    assert {"contrastive": Contrastive.terms, "dense": Dense.terms} == TERMS


def test_sigmoid_loss_is_siglips() -> None:
    loss, cosines = SigmoidLoss(), torch.rand(4, 4) * 2 - 1
    signs = 2 * torch.eye(4) - 1  # the form of the paper: -log sigmoid(z (t x + b)), summed, per image
    expected = -F.logsigmoid(signs * (10 * cosines - 10)).sum() / 4
    torch.testing.assert_close(loss(cosines, torch.eye(4, dtype=torch.bool)), expected)


@pytest.mark.parametrize("make", [contrastive, dense])
def test_weights_scale_terms_and_absent_ones_are_zero(make: type) -> None:
    terms = make().terms
    tokens = torch.randn(len(ROWS), 64, 24)
    once = make(**dict.fromkeys(terms, 1.0))(tokens, ROWS, Random(0))
    other = make(**{terms[1]: 3.0})(tokens, ROWS, Random(0))
    assert set(once) == set(other) == set(terms)
    assert all(torch.isfinite(loss) and loss > 0 for loss in once.values())
    torch.testing.assert_close(other[terms[1]], 3 * once[terms[1]])
    assert other[terms[0]] == 0


def test_the_region_term_is_local() -> None:
    """Only tokens that it looks at get a gradient: those that show a thing, then background up to the number asked."""
    tokens = torch.randn(len(ROWS), 64, 24, requires_grad=True)
    contrastive(region=1.0)(tokens, ROWS, Random(0))["region"].backward()
    assert tokens.grad is not None
    reached = tokens.grad.abs().sum(-1) > 0
    assert (reached.sum(1) == 16).all()
    shown = torch.from_numpy(THINGS.regions[ROWS] >= 0)
    few = shown.sum(1) <= 16
    assert few.any()
    assert (reached | ~shown)[few].all()


def test_dense_answers_are_those_of_the_pixels() -> None:
    """With the true answers as the head's output every term is as small as it can be."""
    objective = dense(**dict.fromkeys(Dense.terms, 1.0))
    tokens = torch.zeros(len(ROWS), 64, 24)
    worst = objective(tokens, ROWS, Random(0))
    mask = objective._patches((THINGS.instances[ROWS] > 0)[..., None])
    pixels = objective._patches(IMAGES[ROWS].astype(np.float32) / 127.5 - 1)
    assert mask.shape == (16, 64, 64)
    y, x = 8 * (27 // 8), 8 * (27 % 8)
    assert torch.equal(mask[3, 27].view(8, 8) > 0, torch.from_numpy(THINGS.instances[3, y : y + 8, x : x + 8] > 0))
    patch = torch.from_numpy(IMAGES[3, y : y + 8, x : x + 8]).float() / 127.5 - 1
    torch.testing.assert_close(pixels[3, 27].view(8, 8, 3), patch)
    truth = torch.zeros(16, 64, sum(objective._sizes))
    start = mask.shape[-1] + pixels.shape[-1]
    truth[..., : mask.shape[-1]] = 40 * mask - 20
    truth[..., mask.shape[-1] : start] = pixels
    for row in range(16):
        for place, thing in enumerate(THINGS.regions[ROWS[row]]):
            truth[row, place, start : start + 4] = torch.from_numpy(THINGS.boxes[ROWS[row], thing])
    objective.looks.register_forward_hook(lambda *_: truth)
    best = objective(tokens, ROWS, Random(0))
    assert best["mask"] < 1e-6
    assert best["pixels"] < 1e-9
    assert best["box"] < 1e-6
    assert all(worst[term] > 0.01 for term in Dense.terms)


def test_the_text_tower_reads_order_and_ignores_company() -> None:
    torch.manual_seed(0)
    tower = TextTower(16).eval()
    first, second = tower(["a red circle, a blue star", "a blue circle, a red star"])
    assert not torch.allclose(first, second, atol=1e-3)
    alone = tower(["a red circle"])[0]
    together = tower(["a small yellow diamond at the bottom right", "a red circle"])[1]
    torch.testing.assert_close(alone, together)


def test_probes_read_what_is_there_and_nothing_else() -> None:
    fit = things_of([scene_of(0, "towers", index) for index in range(400)], (8, 8))
    test = things_of([scene_of(0, "val", index) for index in range(150)], (8, 8))

    def tokens(things: object, attribute: int) -> torch.Tensor:
        """Tokens that show one attribute of the thing that stands there, and noise."""
        generator = torch.Generator().manual_seed(len(things))  # type: ignore[arg-type]
        out = torch.randn(len(things), 64, 16, generator=generator)  # type: ignore[arg-type]
        for row, places in enumerate(things.regions):  # type: ignore[attr-defined]
            for place, thing in enumerate(places):
                value = things.attributes[row, thing, attribute] if thing >= 0 else -1  # type: ignore[attr-defined]
                out[row, place, value] += 8.0 if value >= 0 else 0.0
        return out

    read = {p.name: p for p in probe_tokens((tokens(fit, COLOR), fit), (tokens(test, COLOR), test))}
    assert read["color"].accuracy > 0.97
    assert read["shape"].accuracy < 0.35
    read = {p.name: p for p in probe_tokens((tokens(fit, SHAPE), fit), (tokens(test, SHAPE), test))}
    assert read["shape"].accuracy > 0.97
    assert read["color"].accuracy < 0.35
    assert 0.1 < read["color"].chance < 0.3
