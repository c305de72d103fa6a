"""A bench as text, at 80 columns or more."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import typer

from cobra_kit import columns
from cobra_kit.bench import BenchResult, Measurement, Spread
from cobra_kit.bench.settings import COBRA
from cobra_kit.bench.systems import PAPER
from cobra_kit.columns import grid
from cobra_kit.formatting import gigabytes, plural

_WIDE = 110
_CACHES = 4
"""A pass over so many times what a cache holds finds little of it there."""

_NAME = 20
"""Letters of a model's name where the table is narrow."""

_LITTLE = 3
"""Below so many rounds quartiles say nothing."""


def render(result: BenchResult, width: int) -> list[str]:
    """Returns the lines.

    Args:
        result: The result of the bench.
        width: Columns of the terminal.
    """
    lines = [*tables(result, width), *_crossings(result, width), *_left_out(result, width)]
    if not result.measurements:
        return lines
    wide = width >= _WIDE
    return [*lines, "", *(columns.paragraph(note, indent="", limit=width) for note in notes(result, wide=wide))]


def tables(result: BenchResult, width: int) -> list[str]:
    """Returns the lines of numbers; the first one says what was measured."""
    lines = [typer.style(columns.paragraph(result.statement, indent="", limit=width), bold=True)]
    table = _protocol if result.settings.protocol == COBRA else _general
    for (dtype, rows), own in groupby(
        _ordered(result.measurements), key=lambda measurement: (measurement.dtype, measurement.batch)
    ):
        title = f"{dtype}, {plural(rows, 'row')}"
        lines += ["", title, *table(result, list(own), wide=width >= _WIDE)]
    return lines


def _crossings(result: BenchResult, width: int) -> list[str]:
    texts = [f"{name.partition(':')[0]}: {crossing.sentence}" for name, crossing in result.crossovers.items()]
    return ["", *(columns.paragraph(text, indent="", limit=width) for text in texts)] if texts else []


def _left_out(result: BenchResult, width: int) -> list[str]:
    texts = [f"{skipped.name}: {skipped.reason}" for skipped in result.not_run]
    return ["", "not run", *(columns.paragraph(text, indent="  ", limit=width) for text in texts)] if texts else []


def notes(result: BenchResult, *, wide: bool) -> list[str]:
    """Returns what a reader of the numbers must know, a paragraph each; `wide`: quartiles are shown."""
    best, rounds = result.bandwidth, result.repeats
    texts = [
        f"Medians of {plural(rounds, 'round')}"
        + (" in turns" if result.side_by_side and len(result.measurements) > 1 else "")
        + _quartiles(rounds, wide),
        f"Memory bandwidth, measured in this run: copy {_rate(best.copy)}, triad {_rate(best.triad)}, "
        f"read {_rate(best.read)}. Share: what a token must read and write (weights once, state, cache) per time, of "
        "the best of them.",
    ]
    if any(result.cache and measurement.traffic.total < _CACHES * result.cache for measurement in result.measurements):
        texts.append(
            f"A token reads less than {_CACHES} times what the processor's cache of {result.cache_megabytes} holds: "
            "such a share means little and can pass 100 %."
        )
    if result.memory_how and any(measurement.peak for measurement in result.measurements):
        texts.append(f"Peak: {result.memory_how}; in brackets what came above the weights.")
    if result.tokenizers:
        names = ", ".join(result.tokenizers)
        texts.append(
            f"The tokenizer of {names} is not on this machine: the packaged one stands in, so its prompt's "
            "length differs a little."
        )
    texts += _graphs(result.measurements)
    if result.settings.protocol == COBRA:
        texts.append(
            "tok/s: 256 by the whole time, from the picture's encoding to the last token, as the paper counts; "
            "decode/s: the 255 after the first. The picture is noise, stop tokens end nothing. The paper does not "
            "state dtype, warm-up or repeats; it ran on one A100 PCIe 80GB."
        )
    if result.paper and result.profile != PAPER:
        texts.append("The paper's figures are of the systems at their own size: not comparable with these.")
    return texts


def _ordered(measurements: Sequence[Measurement]) -> list[Measurement]:
    order = {key: place for place, key in enumerate(dict.fromkeys((each.dtype, each.batch) for each in measurements))}
    return sorted(measurements, key=lambda each: order[each.dtype, each.batch])


def _general(result: BenchResult, own: Sequence[Measurement], *, wide: bool) -> list[str]:
    header = ("text+image", "first ms", "prefill tok/s", "ms/token", "tok/s", "share", "peak MB")
    table: list[tuple[str, ...]] = [header]
    for measurement in own:
        given = "*" if measurement.visual_tokens and not measurement.encoded else ""
        table.append(
            (
                f"{measurement.text_tokens}+{measurement.visual_tokens}{given}",
                _spread(measurement.first_token.scaled(1e3), wide),
                f"{measurement.prefill_rate:,.0f}",
                _spread(measurement.step.scaled(1e3), wide),
                _digits(measurement.decode_rate),
                f"{measurement.share:.0%}",
                _peak(measurement),
            )
        )
    head, *body = grid(table, numbers=1)
    lines = [head]
    for subject, rows in groupby(zip(own, body, strict=True), key=lambda pair: pair[0].subject):
        lines += [f" {subject}", *(line for _, line in rows)]
    if any(each.visual_tokens and not each.encoded for each in own):
        lines.append("  *: visual tokens given, encoder and projector did not run")
    return lines


def _protocol(result: BenchResult, own: Sequence[Measurement], *, wide: bool) -> list[str]:
    header = ["model", "image", "text", "first ms", "total s", "tok/s"]
    if wide or not result.paper:
        header += ["decode/s", "peak MB"]
    if wide:
        header.append("share")
    if result.paper:
        header += ["paper s", "tok/s"]
    table = [tuple(header)]
    for measurement in own:
        cells = [
            measurement.subject if wide else columns.cut(measurement.subject, _NAME),
            str(measurement.visual_tokens),
            str(measurement.text_tokens),
        ]
        cells += [
            _spread(measurement.first_token.scaled(1e3), wide),
            _spread(measurement.total, wide),
            _digits(measurement.paper_rate),
        ]
        if wide or not result.paper:
            cells += [_digits(measurement.decode_rate), _peak(measurement)]
        if wide:
            cells.append(f"{measurement.share:.0%}")
        if result.paper:
            rate, total = result.paper.get(measurement.subject, (None, None))
            cells += [f"{total:.2f}" if total else "-", f"{rate:.1f}" if rate else "-"]
        table.append(tuple(cells))
    return grid(table, numbers=1)


def _quartiles(rounds: int, wide: bool) -> str:
    if rounds < _LITTLE:
        return "; too few for quartiles."
    return "; [lower, upper quartile]." if wide else f"; quartiles from {_WIDE} columns on, and in --json."


def _spread(spread: Spread, wide: bool) -> str:
    if not wide or spread.count < _LITTLE:
        return _digits(spread.median)
    return f"{_digits(spread.median)} [{_digits(spread.low)}, {_digits(spread.high)}]"


def _digits(value: float) -> str:
    """Returns a number with about three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _peak(measurement: Measurement) -> str:
    if measurement.peak is None:
        return "-"
    return f"{measurement.peak.total / 1e6:,.0f} (+{measurement.peak.above_weights / 1e6:,.0f})"


def _rate(bytes_per_second: float) -> str:
    return f"{gigabytes(bytes_per_second)}/s"


def _graphs(measurements: Sequence[Measurement]) -> list[str]:
    reasons: dict[tuple[bool, str], dict[str, None]] = {}
    for measurement in measurements:
        reasons.setdefault((measurement.graph, measurement.graph_reason), {})[measurement.subject] = None
    return [
        f"{', '.join(names)}: {'steps run as a CUDA graph' if graph else 'no CUDA graph'} ({reason})."
        for (graph, reason), names in reasons.items()
    ]
