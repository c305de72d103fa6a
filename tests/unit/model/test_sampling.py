"""Drawn tokens follow the model's probabilities, depend on seed, row and place alone, and bad settings are refused."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.errors import CobraError
from cobra_kit.model.decoding import Sampling
from cobra_kit.model.decoding.sampling import choose, mix, row_streams, uniform_draws

CPU = torch.device("cpu")
DRAWS = 20_000
P_VALUE_1E_6 = {3: 30.66, 7: 40.52}
"""Chi-square by degrees of freedom beyond which one fair run in a million falls."""


def draws(count: int, seed: int = 1) -> torch.Tensor:
    return uniform_draws(row_streams(seed, range(count), CPU), torch.zeros(1, dtype=torch.int64))


def chi_square(chosen: torch.Tensor, probabilities: torch.Tensor) -> float:
    counts = torch.bincount(chosen, minlength=len(probabilities)).double()
    assert counts[probabilities == 0].sum() == 0
    expected = probabilities.double() * len(chosen)
    there = probabilities > 0
    return float(((counts - expected)[there] ** 2 / expected[there]).sum())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_tokens_are_drawn_as_often_as_they_are_probable(temperature: float) -> None:
    logits = torch.tensor([1.0, -0.5, 0.3, 2.0, -1.0, 0.0, 0.9, 1.1])
    chosen = choose(logits.expand(DRAWS, -1), Sampling(temperature), draws(DRAWS))
    assert chi_square(chosen, (logits / temperature).softmax(-1)) < P_VALUE_1E_6[7]
    wrong = (logits / (temperature * 1.2)).softmax(-1)
    assert chi_square(chosen, wrong) > P_VALUE_1E_6[7], "another temperature would be noticed"


def test_top_p_draws_among_the_fewest_that_reach_it() -> None:
    probabilities = torch.tensor([0.05, 0.4, 0.05, 0.25, 0.15, 0.1])
    chosen = choose(probabilities.log().expand(DRAWS, -1), Sampling(1.0, top_p=0.85), draws(DRAWS))
    kept = torch.tensor([0.0, 0.4, 0.0, 0.25, 0.15, 0.1])
    assert chi_square(chosen, kept / kept.sum()) < P_VALUE_1E_6[3]


@given(st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=20, unique=True), st.floats(1e-6, 10))
def test_a_tiny_top_p_and_a_tiny_temperature_are_greedy(values: list[float], temperature: float) -> None:
    logits = torch.tensor(values).expand(5, -1)
    best = [values.index(max(values))] * 5
    assert choose(logits, Sampling(temperature, top_p=1e-9), draws(5)).tolist() == best
    assert choose(logits, Sampling(0.0), None).tolist() == best


def test_the_ends_of_the_draw_are_tokens_with_a_weight() -> None:
    """0 and the largest draw, with tokens of no probability at both ends."""
    logits = torch.tensor([-torch.inf, 0.0, 1.0, -torch.inf]).expand(2, -1)
    ends = torch.tensor([0.0, 1 - 2.0**-24])
    for top_p in (1.0, 0.999):
        assert set(choose(logits, Sampling(1.0, top_p), ends).tolist()) <= {1, 2}


def test_the_formula() -> None:
    """SplitMix64's first outputs for seed 1234567 (its reference implementation), and the formula in plain integers."""
    golden, mask = 0x9E3779B97F4A7C15, 2**64 - 1
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    states = [(1234567 + golden * (i + 1)) & mask for i in range(3)]
    signed = torch.tensor([s - 2**64 if s >= 2**63 else s for s in states])
    assert [int(v) % 2**64 for v in mix(signed)] == expected
    stream = row_streams(1234567, [1], CPU)
    assert int(stream) % 2**64 == expected[1]

    def plain_mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    for position in (0, 1, 77):
        draw = plain_mix((expected[1] + golden * (position + 1)) & mask) >> 40
        assert float(uniform_draws(stream, torch.tensor([position]))) == draw / 2**24


@pytest.mark.parametrize("seed", [0, -1, 2**63, 2**70])
def test_any_integer_is_a_seed(seed: int) -> None:
    uniforms = uniform_draws(row_streams(seed, range(4), CPU), torch.tensor([0]))
    assert len(set(uniforms.tolist())) == 4
    assert ((uniforms >= 0) & (uniforms < 1)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature must be a number of at least 0, not -0.1"),
        ({"temperature": math.nan}, "temperature must be a number of at least 0, not nan"),
        ({"temperature": math.inf}, "temperature must be a number of at least 0, not inf"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, not 0.0"),
        ({"top_p": 1.01}, "top_p must be above 0 and at most 1, not 1.01"),
        ({"top_p": math.nan}, "top_p must be above 0 and at most 1, not nan"),
    ],
)
def test_settings_out_of_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(CobraError, match=message):
        Sampling(**settings)  # type: ignore[arg-type]
