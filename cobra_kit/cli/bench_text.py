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


def render(found: BenchResult, width: int) -> list[str]:
    """Returns the lines.

    Args:
        found: What was found.
        width: Columns.
    """
    lines = [*tables(found, width), *_crossings(found, width), *_left_out(found, width)]
    if not found.measurements:
        return lines
    wide = width >= _WIDE
    return [*lines, "", *(columns.paragraph(note, indent="", limit=width) for note in notes(found, wide=wide))]


def tables(found: BenchResult, width: int) -> list[str]:
    """Returns the lines of numbers; the first one says what was measured."""
    lines = [typer.style(columns.paragraph(found.statement, indent="", limit=width), bold=True)]
    table = _protocol if found.settings.protocol == COBRA else _general
    for (dtype, rows), own in groupby(_ordered(found.measurements), key=lambda one: (one.dtype, one.batch)):
        title = f"{dtype}, {plural(rows, 'row')}"
        lines += ["", title, *table(found, list(own), wide=width >= _WIDE)]
    return lines


def _crossings(found: BenchResult, width: int) -> list[str]:
    told = [f"{name.partition(':')[0]}: {one.sentence}" for name, one in found.crossovers.items()]
    return ["", *(columns.paragraph(text, indent="", limit=width) for text in told)] if told else []


def _left_out(found: BenchResult, width: int) -> list[str]:
    told = [f"{one.name}: {one.reason}" for one in found.not_run]
    return ["", "not run", *(columns.paragraph(text, indent="  ", limit=width) for text in told)] if told else []


def notes(found: BenchResult, *, wide: bool) -> list[str]:
    """Returns what a reader of the numbers must know, a paragraph each; `wide`: quartiles are shown."""
    best, rounds = found.bandwidth, found.repeats
    told = [
        f"Medians of {plural(rounds, 'round')}"
        + (" in turns" if found.side_by_side and len(found.measurements) > 1 else "")
        + _quartiles(rounds, wide),
        f"Memory bandwidth, measured in this run: copy {_rate(best.copy)}, triad {_rate(best.triad)}, "
        f"read {_rate(best.read)}. Share: what a token must read and write (weights once, state, cache) per time, of "
        "the best of them.",
    ]
    if any(found.cache and one.traffic.total < _CACHES * found.cache for one in found.measurements):
        told.append(
            f"A token reads less than {_CACHES} times what the processor's cache of {found.cache_megabytes} holds: "
            "such a share means little and can pass 100 %."
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
            "decode/s: the 255 after the first. The picture is noise, stop tokens end nothing. The paper does not "
            "state dtype, warm-up or repeats; it ran on one A100 PCIe 80GB."
        )
    if found.paper and found.profile != PAPER:
        told.append("The paper's figures are of the systems at their own size: not comparable with these.")
    return told


def _ordered(measurements: Sequence[Measurement]) -> list[Measurement]:
    order = {key: place for place, key in enumerate(dict.fromkeys((one.dtype, one.batch) for one in measurements))}
    return sorted(measurements, key=lambda one: order[one.dtype, one.batch])


def _general(found: BenchResult, own: Sequence[Measurement], *, wide: bool) -> list[str]:
    header = ("text+image", "first ms", "prefill tok/s", "ms/token", "tok/s", "share", "peak MB")
    table: list[tuple[str, ...]] = [header]
    for one in own:
        table.append(
            (
                f"{one.text_tokens}+{one.visual_tokens}{'' if one.encoded or not one.visual_tokens else '*'}",
                _spread(one.first_token.scaled(1e3), wide),
                f"{one.prefill_rate:,.0f}",
                _spread(one.step.scaled(1e3), wide),
                _digits(one.decode_rate),
                f"{one.share:.0%}",
                _peak(one),
            )
        )
    head, *body = grid(table, numbers=1)
    lines = [head]
    for subject, rows in groupby(zip(own, body, strict=True), key=lambda pair: pair[0].subject):
        lines += [f" {subject}", *(line for _, line in rows)]
    if any(one.visual_tokens and not one.encoded for one in own):
        lines.append("  *: visual tokens given, encoder and projector did not run")
    return lines


def _protocol(found: BenchResult, own: Sequence[Measurement], *, wide: bool) -> list[str]:
    header = ["model", "image", "text", "first ms", "total s", "tok/s"]
    if wide or not found.paper:
        header += ["decode/s", "peak MB"]
    if wide:
        header.append("share")
    if found.paper:
        header += ["paper s", "tok/s"]
    table = [tuple(header)]
    for one in own:
        cells = [one.subject if wide else _cut(one.subject), str(one.visual_tokens), str(one.text_tokens)]
        cells += [_spread(one.first_token.scaled(1e3), wide), _spread(one.total, wide), _digits(one.paper_rate)]
        if wide or not found.paper:
            cells += [_digits(one.decode_rate), _peak(one)]
        if wide:
            cells.append(f"{one.share:.0%}")
        if found.paper:
            rate, total = found.paper.get(one.subject, (None, None))
            cells += [f"{total:.2f}" if total else "-", f"{rate:.1f}" if rate else "-"]
        table.append(tuple(cells))
    return grid(table, numbers=1)


def _quartiles(rounds: int, wide: bool) -> str:
    if rounds < _LITTLE:
        return "; too few for quartiles."
    return "; [lower, upper quartile]." if wide else f"; quartiles from {_WIDE} columns on, and in --json."


def _cut(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


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
    return f"{gigabytes(bytes_per_second)}/s"


def _graphs(measurements: Sequence[Measurement]) -> list[str]:
    reasons: dict[tuple[bool, str], dict[str, None]] = {}
    for one in measurements:
        reasons.setdefault((one.graph, one.graph_reason), {})[one.subject] = None
    return [
        f"{', '.join(names)}: {'steps run as a CUDA graph' if graph else 'no CUDA graph'} ({reason})."
        for (graph, reason), names in reasons.items()
    ]
