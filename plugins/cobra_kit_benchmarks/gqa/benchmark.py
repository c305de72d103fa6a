"""GQA as a benchmark that recipes and `cobra-kit score` name."""

from __future__ import annotations

from cobra_kit_benchmarks.common.benchmark import OfficialBenchmark
from cobra_kit_benchmarks.gqa.protocol import DEFINITION


class GQA(OfficialBenchmark):
    """GQA."""

    definition = DEFINITION
