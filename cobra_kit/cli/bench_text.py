"""A bench as text, at 80 columns or more."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import typer

from cobra_kit.bench import BenchResult, Measurement, Spread
from cobra_kit.bench.settings import COBRA
from cobra_kit.cli import columns
from cobra_kit.cli.columns import grid

_WIDE = 110
_LITTLE = 3
"""Below so many rounds quartiles say nothing."""


def render(found: BenchResult, width: int) -> list[str]:
    """Returns the lines.

    Args:
        found: What was found.
        width: Columns.
    """
    lines = [typer.style(columns.paragraph(found.statement, indent="", limit=width), bold=True)]
    table = _protocol if found.settings.protocol == COBRA else _general
    for (dtype, rows), own in groupby(_ordered(found.measurements), key=lambda one: (one.dtype, one.batch)):
        title = f"{dtype}, {rows} row{'s' if rows > 1 else ''}"
        lines += ["", title, *table(found, list(own), wide=width >= _WIDE)]
    if found.crossovers:
        lines.append("")
        lines += [
            columns.paragraph(f"{name.partition(':')[0]}: {one.words}", indent="", limit=width)
            for name, one in found.crossovers.items()
        ]
    if found.not_run:
        lines += ["", "not run"]
        lines += [columns.paragraph(f"{one.name}: {one.reason}", indent="  ", limit=width) for one in found.not_run]
    return [*lines, "", *(columns.paragraph(note, indent="", limit=width) for note in notes(found))]


def notes(found: BenchResult) -> list[str]:
    """Returns what a reader of the numbers must know, a paragraph each."""
    best, rounds = found.bandwidth, found.repeats
    told = [
        f"Medians of {rounds} round{'s' if rounds != 1 else ''}"
        + (" in turns" if found.side_by_side and len(found.measurements) > 1 else "")
        + ("; [lower, upper quartile]." if rounds >= _LITTLE else "; too few for quartiles."),
        f"Memory bandwidth, measured in this run: copy {_rate(best.copy)}, triad {_rate(best.triad)}, "
        f"read {_rate(best.read)}. Share: what a token must read and write (weights once, state, cache) per time, of "
        "the best of them.",
    ]
    small = [one for one in found.measurements if found.cache and one.traffic.total <= found.cache]
    if small:
        told.append(
            f"What a token reads fits the processor's cache of {found.cache_megabytes}: such a share is of no meaning "
            "and can pass 100 %."
        )
    if found.memory_how and any(one.peak for one in found.measurements):
        told.append(f"Peak: {found.memory_how}; in brackets what came above the weights.")
    if found.tokenizers:
        names = ", ".join(found.tokenizers)
        told.append(
            f"The tokenizer of {names} is not on this machine: the packaged one stands in, so its prompt's "
            "length differs a little."
        )
    told += _graphs(found.measurements)
    if found.settings.protocol == COBRA:
        told.append(
            "tok/s: 256 by the whole time, from the picture's encoding to the last token, as the paper counts; "
            "decode tok/s: the 255 after the first. The picture is noise, stop tokens end nothing. The paper does not "
            "state dtype, warm-up or repeats; it ran on one A100 PCIe 80GB."
        )
    return told


def _ordered(measurements: Sequence[Measurement]) -> list[Measurement]:
    order = {key: place for place, key in enumerate(dict.fromkeys((one.dtype, one.batch) for one in measurements))}
    return sorted(measurements, key=lambda one: order[one.dtype, one.batch])


def _general(found: BenchResult, own: Sequence[Measurement], *, wide: bool) -> list[str]:
    table: list[tuple[str, ...]] = [
        ("model", "text+image", "first ms", "prefill/s", "ms/token", "tok/s", "share", "peak MB")
    ]
    for one in own:
        first, step = one.first_token.scaled(1e3), one.step.scaled(1e3)
        table.append(
            (
                one.subject,
                f"{one.text_tokens}+{one.visual_tokens}{'' if one.encoded or not one.visual_tokens else '*'}",
                _spread(first, wide),
                f"{one.prefill_rate:,.0f}",
                _spread(step, wide),
                f"{one.decode_rate:,.0f}",
                f"{one.share:.0%}",
                _peak(one),
            )
        )
    lines = grid(table, numbers=1)
    if any(one.visual_tokens and not one.encoded for one in own):
        lines.append("  *: visual tokens given, encoder and projector did not run")
    return lines


def _protocol(found: BenchResult, own: Sequence[Measurement], *, wide: bool) -> list[str]:
    header = ["model", "image", "prompt", "total s", "tok/s", "decode tok/s", "share", "peak MB"]
    if found.paper:
        header += ["paper s", "tok/s"]
    table = [tuple(header)]
    for one in own:
        cells = [
            one.subject,
            f"{one.visual_tokens}",
            f"{one.context}",
            _spread(one.total, wide or not found.paper),
            f"{one.paper_rate:,.1f}",
            f"{one.decode_rate:,.1f}",
            f"{one.share:.0%}",
            _peak(one),
        ]
        if found.paper:
            rate, total = found.paper.get(one.subject, (None, None))
            cells += [f"{total:.2f}" if total else "-", f"{rate:.1f}" if rate else "-"]
        table.append(tuple(cells))
    return grid(table, numbers=1)


def _spread(one: Spread, wide: bool) -> str:
    if not wide or one.count < _LITTLE:
        return _digits(one.median)
    return f"{_digits(one.median)} [{_digits(one.low)}, {_digits(one.high)}]"


def _digits(value: float) -> str:
    """Returns a number with about three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _peak(one: Measurement) -> str:
    if one.peak is None:
        return "-"
    return f"{one.peak.total / 1e6:,.0f} (+{one.peak.above_weights / 1e6:,.0f})"


def _rate(bytes_per_second: float) -> str:
    return f"{bytes_per_second / 1e9:,.1f} GB/s"


def _graphs(measurements: Sequence[Measurement]) -> list[str]:
    reasons: dict[tuple[bool, str], dict[str, None]] = {}
    for one in measurements:
        reasons.setdefault((one.graph, one.graph_reason), {})[one.subject] = None
    return [
        f"{', '.join(names)}: {'steps run as a CUDA graph' if graph else 'no CUDA graph'} ({reason})."
        for (graph, reason), names in reasons.items()
    ]
