"""Memory per device, hours, prices, names of hardware."""

from __future__ import annotations

import pytest

from cobra_kit.errors import CobraError
from cobra_kit.estimate.calibration import PAPER_RUN, TEXT_TOKENS, cobra_3b_flops
from cobra_kit.estimate.counting import PassCount
from cobra_kit.estimate.hardware import HARDWARE, NAMES, check_names
from cobra_kit.estimate.hours import cost
from cobra_kit.estimate.memory import footprints, smallest_that_fits

COUNT = PassCount(
    rows=4,
    encoder_flops=1.0,
    forward_flops=1.0,
    backward_flops=2.0,
    activations=1000,
    activations_checkpointed=100,
    trainable=800,
    frozen=10,
    largest_block=50,
    outside_blocks=100,
    approximate=None,
)


def test_bytes_by_hand() -> None:
    ways = {(setup.sharding, setup.checkpointed): setup for setup in footprints(COUNT, 8, mixed=True)}
    assert len(ways) == 6
    none = ways["none", False]
    assert (none.weights, none.gradients, none.optimiser) == (800 * (4 + 2) + 10 * 2, 3200, 6400)
    assert none.total == none.weights + 3200 + 6400 + 1000
    grad = ways["shard-grad-op", True]
    assert (grad.weights, grad.gradients, grad.optimiser) == (400 + 1600 + 20, 400, 800)
    assert grad.activations == 100
    assert ways["full-shard", False].weights == 400 + 2 * (100 + 2 * 50) + 20


def test_one_device_has_nothing_to_share_and_the_processor_computes_in_float32() -> None:
    ways = footprints(COUNT, 1, mixed=False)
    assert [setup.sharding for setup in ways] == ["none", "none"]
    assert ways[0].weights == 4 * 810


def test_how_many_devices_would_do() -> None:
    assert smallest_that_fits(COUNT, 10**6) == 1
    full = next(
        setup
        for setup in footprints(COUNT, 8, mixed=True)
        if (setup.sharding, setup.checkpointed) == ("full-shard", True)
    )
    assert smallest_that_fits(COUNT, round(full.total / 0.9) + 1) == 8
    assert smallest_that_fits(COUNT, 50) is None


def test_the_paper_s_run_takes_the_paper_s_hours() -> None:
    per_row = cobra_3b_flops(TEXT_TOKENS, PAPER_RUN.image_tokens + TEXT_TOKENS)
    flops = per_row * PAPER_RUN.rows * PAPER_RUN.epochs
    took = cost(flops, HARDWARE["a100"], PAPER_RUN.devices)
    assert took.hours == pytest.approx(PAPER_RUN.hours)
    assert took.price == pytest.approx(PAPER_RUN.hours * 8 * HARDWARE["a100"].price)
    assert cost(flops, HARDWARE["a100"], 8, price=1.0).price == pytest.approx(PAPER_RUN.hours * 8)


def test_names_of_hardware() -> None:
    assert check_names([]) == NAMES
    assert check_names(["H100", "cpu", "h100"]) == ("h100", "cpu")
    with pytest.raises(CobraError, match="no hardware named 'b300'") as caught:
        check_names(["b300"])
    assert all(name in str(caught.value) for name in NAMES) or "did you mean" in str(caught.value)
