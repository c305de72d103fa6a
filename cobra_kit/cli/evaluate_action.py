"""The work of `cobra-kit evaluate`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from cobra_kit import columns
from cobra_kit.cli.allocator import keep_freed_memory
from cobra_kit.cli.progress import print_message
from cobra_kit.errors import CobraError
from cobra_kit.events import Event, Progress
from cobra_kit.files import expanded
from cobra_kit.formatting import escaped_json, printable, printable_lines
from cobra_kit.study.evaluation.asked_run import AskedRun, find_run
from cobra_kit.study.evaluation.evaluate_run import Evaluated, evaluate_run
from cobra_kit.study.execution.devices import choose_device
from cobra_kit.study.reading.stored_evaluations import StoredEvaluation

_LINE_SECONDS = 5.0


def evaluate(
    path: Path,
    benchmarks: str | None,
    *,
    limit: int | None,
    split: str | None,
    root: Path | None,
    changes: Sequence[str],
    device: str,
    as_json: bool,
) -> None:
    """Asks a run and prints the numbers, each with its protocol; arguments as in `evaluate_run`."""
    keep_freed_memory()
    run = find_run(expanded(path))
    evaluated = evaluate_run(
        run,
        _names(benchmarks),
        limit=limit,
        split=split,
        root=expanded(root) if root else None,
        changes=dict(_settings(changes)),
        device=choose_device(device),
        report=_Lines(),
    )
    if as_json:
        typer.echo(escaped_json(json.dumps(_as_json(run, evaluated), indent=2, ensure_ascii=False)))
    else:
        typer.echo(printable_lines("\n".join(_text(run, evaluated)), columns.width() or 200))


class _Lines:
    """Prints messages, and now and then how far the questions are."""

    def __init__(self) -> None:
        self._latest = time.monotonic()

    def __call__(self, event: Event, /) -> None:
        print_message(event)
        if isinstance(event, Progress) and time.monotonic() - self._latest >= _LINE_SECONDS:
            self._latest = time.monotonic()
            typer.echo(printable(f"{event.task}  {event.done:,}/{event.total:,} {event.unit}"), err=True)


def _names(given: str | None) -> list[str] | None:
    if given is None:
        return None
    return list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))


def _settings(changes: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key.strip():
            raise CobraError(f"{change!r} is no setting", where="--set", hint="Write --set check_counts=false.")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        yield key.strip(), value


def _text(run: AskedRun, evaluated: Evaluated) -> list[str]:
    lines = [f"run  {run.folder}"]
    for evaluation in evaluated.evaluations:
        lines += ["", *_lines(evaluation)]
    lines += [f"\n{name}: the study has asked these very questions; see its table" for name in evaluated.in_table]
    if evaluated.table is not None:
        lines.append(f"\ntable  {evaluated.table}")
    return lines


def _lines(evaluation: StoredEvaluation) -> list[str]:
    entry = evaluation.entry
    (main, number), *others = entry["summary"].items()
    lines = [f"{evaluation.title}  {main} {_percent(number)}"]
    lines += [f"  {label:<22}{_percent(value):>7}" for label, value in others]
    lines += [f"  {name:<17} {text}" for name, text in evaluation.protocol.parts().items()]
    if entry["left_out"]:
        lines.append(f"  left out          {entry['left_out']:,} questions whose pictures cannot be read")
    if entry["cut_answers"]:
        lines.append(f"  cut               {entry['cut_answers']:,} answers at the most new tokens")
    return lines


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _as_json(run: AskedRun, evaluated: Evaluated) -> dict[str, Any]:
    return {
        "run": str(run.folder),
        "table": None if evaluated.table is None else str(evaluated.table),
        "in_table": list(evaluated.in_table),
        "evaluations": [
            {
                "benchmark": evaluation.benchmark,
                "column": evaluation.title,
                "protocol": asdict(evaluation.protocol),
                **{key: evaluation.entry[key] for key in ("summary", "questions", "left_out", "cut_answers")},
                "predictions": str(run.folder / Path(evaluation.entry["file"]).with_name("predictions.jsonl")),
            }
            for evaluation in evaluated.evaluations
        ],
    }
