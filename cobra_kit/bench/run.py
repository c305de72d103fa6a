"""A whole bench: models built, cases timed in turns, curves compared."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from cobra_kit._plugins import call_component
from cobra_kit.bench.bandwidth import Bandwidth, measure_bandwidth
from cobra_kit.bench.cases import Case, cases_of, cuda_peak
from cobra_kit.bench.child import CPU_HOW, child_peaks
from cobra_kit.bench.curves import crossovers
from cobra_kit.bench.memory import needs, refuse_what_does_not_fit
from cobra_kit.bench.models import build
from cobra_kit.bench.results import BenchResult, Measurement, NotRun
from cobra_kit.bench.settings import Settings
from cobra_kit.bench.stand_in import StandInTokenizer
from cobra_kit.bench.subjects import Subject
from cobra_kit.bench.timing import rounds
from cobra_kit.errors import CobraError
from cobra_kit.machine import cache_bytes
from cobra_kit.model import VisionLanguageModel
from cobra_kit.model.device import device_named, dtype_named
from cobra_kit.model.kernels import KernelGroup, grouped

Report = Callable[[str], None]
CUDA_HOW = "the model's weights and what torch allocated beside them at the peak"
NOT_MEASURED = "not measured"


@dataclass(slots=True)
class Gathered:
    """Results that are gathered on the way through one or several groups of subjects."""

    components: dict[str, Mapping[str, str]] = field(default_factory=dict)
    kernels: dict[str, tuple[KernelGroup, ...]] = field(default_factory=dict)
    tokenizers: dict[str, None] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    not_run: list[NotRun] = field(default_factory=list)
    memory_how: str = NOT_MEASURED
    repeats: int = 0
    interrupted: bool = False


def bench(
    subjects: Sequence[Subject],
    settings: Settings,
    *,
    recipe: str,
    profile: str | None = None,
    laptop: str | None = None,
    report: Report = lambda line: None,
) -> BenchResult:
    """Measures models side by side.

    Args:
        subjects: The models to measure.
        settings: The sizes, devices and repeats to measure with.
        recipe: The name that results carry.
        profile: The recipe's profile.
        laptop: The command that measures the same at a small size, for the error where this does not fit.
        report: Called with a line about what is being done.

    Raises:
        WeightsError: The models do not fit into the device's memory together, or weights are not here.
        CobraError: A device or dtype is not there, or a model cannot be built or timed.
        KeyboardInterrupt: Before anything was measured.
    """
    device = device_named(settings.device)
    for name in settings.dtypes:
        dtype_named(name, device)
    all_needs = needs(subjects, settings, device)
    for need in all_needs:
        if need.problem is not None:
            raise CobraError(f"{need.subject} cannot be built: {need.problem}")
    refuse_what_does_not_fit(all_needs, device, laptop=laptop)
    report(f"measuring the memory bandwidth of {device}")
    bandwidth = measure_bandwidth(device)
    gathered = Gathered()
    measure_together(subjects, settings, device, gathered, report)
    return finished(gathered, settings, device, bandwidth, recipe=recipe, profile=profile)


def measure_together(
    subjects: Sequence[Subject], settings: Settings, device: torch.device, gathered: Gathered, report: Report
) -> None:
    """Times subjects in turns and adds what was found; Ctrl-C keeps what there is, which `gathered` says."""
    try:
        _time(subjects, settings, device, gathered, report)
        gc.collect()  # the models go before other processes build theirs
        if device.type == "cpu" and settings.memory and not gathered.interrupted:
            gathered.memory_how = CPU_HOW
            _add_peaks(subjects, settings, gathered, report)
    except KeyboardInterrupt:
        gathered.interrupted = True
    if device.type == "cuda":
        gathered.memory_how = CUDA_HOW


def _time(
    subjects: Sequence[Subject], settings: Settings, device: torch.device, gathered: Gathered, report: Report
) -> None:
    models: dict[tuple[str, str], VisionLanguageModel] = {}
    for dtype in settings.dtypes:
        for subject in subjects:
            report(f"building {subject.name} in {dtype}")
            model = build(subject, device=device, dtype=dtype_named(dtype, device), weights=settings.weights)
            _note(subject, dtype, model, gathered)
            models[subject.name, dtype] = model
    cases = list(_ready(models, settings, gathered, report))
    timed = rounds(
        {case.name: case.measure for case in cases},
        warmup=settings.warmup,
        repeats=settings.repeats,
        report=lambda done, total: report(f"round {done + 1} of {total}, {len(cases)} cases each"),
    )
    gathered.interrupted |= timed.interrupted
    for case in cases:
        taken = timed.values[case.name]
        if taken:
            case.check()
            gathered.measurements.append(case.result(taken))
        else:
            gathered.not_run.append(NotRun(case.name, "interrupted before it was measured"))
    gathered.repeats = min((len(taken) for taken in timed.values.values() if taken), default=0)


def finished(
    gathered: Gathered,
    settings: Settings,
    device: torch.device,
    bandwidth: Bandwidth,
    *,
    recipe: str,
    profile: str | None,
    not_run: Iterable[NotRun] = (),
    paper: Mapping[str, tuple[float, float]] | None = None,
    side_by_side: bool = True,
) -> BenchResult:
    """Returns what was gathered, with the curves compared and the bandwidth measured once more.

    Raises:
        KeyboardInterrupt: Ctrl-C came before anything was measured.
    """
    if gathered.interrupted and not gathered.measurements:
        raise KeyboardInterrupt
    bandwidth = bandwidth.or_better(measure_bandwidth(device))
    return BenchResult(
        recipe=recipe,
        profile=profile,
        settings=settings,
        device=str(device),
        components=gathered.components,
        kernels=gathered.kernels,
        tokenizers=tuple(gathered.tokenizers),
        bandwidth=bandwidth,
        cache=cache_bytes() if device.type == "cpu" else None,
        measurements=tuple(with_share(measurement, bandwidth.best) for measurement in gathered.measurements),
        crossovers=crossovers(gathered.measurements),
        not_run=(*gathered.not_run, *not_run),
        paper=paper or {},
        memory_how=gathered.memory_how,
        side_by_side=side_by_side,
        repeats=gathered.repeats,
        interrupted=gathered.interrupted,
    )


def with_share(measurement: Measurement, bandwidth: float) -> Measurement:
    """Returns a measurement with the share it reached of a bandwidth, bytes per second."""
    return replace(measurement, share=measurement.traffic.total / measurement.step.median / bandwidth)


def _note(subject: Subject, dtype: str, model: VisionLanguageModel, gathered: Gathered) -> None:
    gathered.components[subject.name] = dict(model.components)
    gathered.kernels[f"{subject.name}, {dtype}"] = tuple(
        grouped(call_component(model.component("backbone"), model.backbone.kernels))
    )
    if isinstance(model.processor.codec.tokenizer, StandInTokenizer):
        gathered.tokenizers[subject.name] = None


def _ready(
    models: Mapping[tuple[str, str], VisionLanguageModel], settings: Settings, gathered: Gathered, report: Report
) -> Iterable[Case]:
    """Yields the cases that ran once: that captures graphs, and tells what does not fit beside everything else."""
    for (subject, dtype), model in models.items():
        weights = sum(p.numel() * p.element_size() for p in model.parameters())
        for case in cases_of(subject, dtype, model, settings):
            report(f"trying {case.name}")
            try:
                if model.device.type == "cuda":
                    case.peak = cuda_peak(case, weights)
                else:
                    case.measure()
            except torch.OutOfMemoryError:
                gathered.not_run.append(NotRun(case.name, "out of memory"))
                torch.cuda.empty_cache()
            else:
                yield case


def _add_peaks(subjects: Sequence[Subject], settings: Settings, gathered: Gathered, report: Report) -> None:
    for subject in subjects:
        for dtype in settings.dtypes:
            report(f"measuring the memory of {subject.name} in {dtype}")
            peaks = child_peaks(subject, dtype, settings)
            gathered.measurements = [
                replace(measurement, peak=peaks.get(size_key(measurement)))
                if (measurement.subject, measurement.dtype) == (subject.name, dtype)
                else measurement
                for measurement in gathered.measurements
            ]


def size_key(measurement: Measurement) -> str:
    """Returns the size of a measurement, as the process that measures memory names it."""
    return f"{measurement.batch} {measurement.text_tokens} {measurement.visual_tokens}"
