"""The bandwidth is a positive number of each kind, and a disturbed measurement does not lower it."""

from __future__ import annotations

import torch

from cobra_kit.bench.bandwidth import Bandwidth, measure_bandwidth


def test_each_kind_is_measured_over_a_buffer_of_the_size():
    bandwidth = measure_bandwidth(torch.device("cpu"), size=1 << 20)
    assert min(bandwidth.copy, bandwidth.triad, bandwidth.read) > 0
    assert bandwidth.best == max(bandwidth.copy, bandwidth.triad, bandwidth.read)
    assert bandwidth.buffer == 1 << 20
    assert measure_bandwidth(torch.device("cpu"), size=1).buffer == 4096 * 4  # never nothing


def test_the_better_of_two():
    better = Bandwidth(1.0, 5.0, 3.0, 8).or_better(Bandwidth(2.0, 4.0, 3.0, 8))
    assert better == Bandwidth(2.0, 5.0, 3.0, 8)
