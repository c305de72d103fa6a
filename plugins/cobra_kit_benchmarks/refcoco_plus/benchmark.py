"""RefCOCO+ as a benchmark that recipes and `cobra-kit score` name."""

from __future__ import annotations

from cobra_kit_benchmarks.common.benchmark import OfficialBenchmark
from cobra_kit_benchmarks.refcoco_plus.protocol import DEFINITION


class RefCOCOPlus(OfficialBenchmark):
    """RefCOCO+."""

    definition = DEFINITION
