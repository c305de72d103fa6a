"""The way each benchmark of a run is asked and scored: the protocol that stands beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from cobra_kit._plugins import attributed, default_registry
from cobra_kit.data.rows import Benchmark, HeldOutSplit
from cobra_kit.data.sources import NamedSource, named_sources
from cobra_kit.errors import CobraError
from cobra_kit.evaluate.protocol import own_protocol
from cobra_kit.study.plan.study_plan import RunPlan

if TYPE_CHECKING:
    from cobra_kit.interfaces import BenchmarkProtocol, OpenBenchmark


def protocols_of(
    run: RunPlan, benchmarks: Mapping[str, Benchmark], opened: Mapping[str, OpenBenchmark], split: HeldOutSplit
) -> dict[str, BenchmarkProtocol]:
    """Returns the protocol of each benchmark of a run.

    Args:
        run: The run that is evaluated.
        benchmarks: All that it is asked, by name.
        opened: Those of plugins among them, which say their protocol.
        split: The split of the data source's own.
    """
    sources = named_sources(run.resolved.recipe)
    return {
        name: opened[name].protocol if name in opened else _own(run, sources, benchmark, split)
        for name, benchmark in benchmarks.items()
    }


def _own(
    run: RunPlan, sources: tuple[NamedSource, ...], benchmark: Benchmark, split: HeldOutSplit
) -> BenchmarkProtocol:
    """Returns the protocol of a data source's own benchmark: as its plugin states it, where it does."""
    stated = None
    for source in sources:
        with suppress(CobraError):
            stated = _stated(run, source, benchmark, split) or stated
    return own_protocol(benchmark, split, stated, run.evaluate.max_new_tokens)


def _stated(run: RunPlan, source: NamedSource, benchmark: Benchmark, split: HeldOutSplit) -> BenchmarkProtocol | None:
    """Returns what the source's plugin says of a benchmark of this name that has the same settings as the source."""
    short = benchmark.name.removeprefix(f"{source.prefix}-")
    extension = default_registry().benchmark(f"{source.extension.plugin}/{short}")
    if extension.load_config() is not source.extension.load_config():
        return None
    factory = extension.load_benchmark()
    with attributed((extension,)):
        return factory.protocol(source.settings(run.resolved.recipe), split)
