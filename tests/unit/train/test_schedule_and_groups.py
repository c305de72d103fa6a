"""Golden learning rates, and which parameters decay."""

from __future__ import annotations

import pytest
import torch

from cobra_kit.recipe.sections import StageSection
from cobra_kit.train.optimiser import decay_groups, make_optimiser
from cobra_kit.train.schedule import learning_rate_factor


def factors(steps, warmup, final):
    return [learning_rate_factor(i, steps=steps, warmup_ratio=warmup, final_ratio=final) for i in range(steps)]


def test_warm_up_is_linear_and_the_cosine_ends_at_its_goal_on_the_last_step():
    # 4 of 12 steps warm up; then 0.1 + 0.9 (1 + cos(pi k / 8)) / 2 for k = 1..8, worked out by hand.
    golden = [0.25, 0.5, 0.75, 1.0, 0.96575, 0.86820, 0.72221, 0.55, 0.37779, 0.23180, 0.13425, 0.1]
    assert factors(12, 0.3, 0.1) == pytest.approx(golden, abs=5e-6)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 1.0), (3, 0.0), (5, 1.0), (100, 0.03)])
def test_every_schedule_stays_within_its_bounds(steps, warmup):
    rates = factors(steps, warmup, 0.05)
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[-1] == pytest.approx(1.0 if warmup == 1 else 0.05)


def test_biases_and_one_dimensional_tensors_do_not_decay(model):
    decayed, spared = decay_groups(model)
    assert decayed == [
        "projector.linear.weight",
        "fusion.separator",
        "backbone.embedding.weight",
        "backbone.mix.weight",
        "backbone.head.weight",
    ]
    assert spared == ["projector.linear.bias", "backbone.mix.bias", "backbone.head.bias"]


def test_a_bias_of_two_dimensions_is_a_bias():
    module = torch.nn.Module()
    module.bias = torch.nn.Parameter(torch.ones(2, 2))
    module.weight = torch.nn.Parameter(torch.ones(2, 2))
    assert decay_groups(module) == (["weight"], ["bias"])


def test_without_a_gradient_decay_alone_moves_the_weights(model):
    optimiser = make_optimiser(model, StageSection(steps=1, learning_rate=0.1, weight_decay=0.5))
    weight, bias = model.backbone.mix.weight, model.backbone.mix.bias
    before = weight.clone(), bias.clone()
    weight.grad, bias.grad = torch.zeros_like(weight), torch.zeros_like(bias)
    optimiser.step()
    torch.testing.assert_close(weight, before[0] * (1 - 0.1 * 0.5))
    assert torch.equal(bias, before[1])
