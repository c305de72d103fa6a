"""VQAv2 as a benchmark that recipes and `cobra-kit score` name."""

from __future__ import annotations

from cobra_kit_benchmarks.common.benchmark import OfficialBenchmark
from cobra_kit_benchmarks.vqav2.protocol import DEFINITION


class VQAv2(OfficialBenchmark):
    """VQAv2."""

    definition = DEFINITION
