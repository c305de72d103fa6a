"""Latency, memory and scaling of one model or of several side by side.

    _, subjects = subjects_of("ablation_backbone")
    result = bench(subjects, Settings(prompt_tokens=(64, 1024)), recipe="ablation_backbone")
    result.measurements[0].step.median    # seconds per token

Nothing here needs the command line's packages. Importing this package imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cobra_kit.bench.bandwidth import Bandwidth, measure_bandwidth
    from cobra_kit.bench.crossing import Crossover, crossover
    from cobra_kit.bench.record import to_plain, write_record
    from cobra_kit.bench.results import BenchResult, Measurement, NotRun, Peak
    from cobra_kit.bench.run import bench
    from cobra_kit.bench.settings import Settings
    from cobra_kit.bench.subjects import Subject, subjects_of
    from cobra_kit.bench.systems import bench_systems, systems_of
    from cobra_kit.bench.timing import Rounds, Spread, rounds, spread

_HOMES = {
    "Bandwidth": "bandwidth",
    "BenchResult": "results",
    "Crossover": "crossing",
    "Measurement": "results",
    "NotRun": "results",
    "Peak": "results",
    "Rounds": "timing",
    "Settings": "settings",
    "Spread": "timing",
    "Subject": "subjects",
    "bench": "run",
    "bench_systems": "systems",
    "crossover": "crossing",
    "measure_bandwidth": "bandwidth",
    "write_record": "record",
    "rounds": "timing",
    "spread": "timing",
    "subjects_of": "subjects",
    "systems_of": "systems",
    "to_plain": "record",
}

__all__ = [
    "Bandwidth",
    "BenchResult",
    "Crossover",
    "Measurement",
    "NotRun",
    "Peak",
    "Rounds",
    "Settings",
    "Spread",
    "Subject",
    "bench",
    "bench_systems",
    "crossover",
    "measure_bandwidth",
    "rounds",
    "spread",
    "subjects_of",
    "systems_of",
    "to_plain",
    "write_record",
]


def __getattr__(name: str) -> Any:
    """Returns a public name, importing its module on first use (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
