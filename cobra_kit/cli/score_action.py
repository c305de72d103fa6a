"""The work of `cobra-kit score`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from cobra_kit import columns
from cobra_kit._plugins import default_registry
from cobra_kit.errors import CobraError
from cobra_kit.evaluate.score_files import FileScore, score_files
from cobra_kit.files import expanded
from cobra_kit.formatting import escaped_json, printable_lines
from cobra_kit.interfaces import OfficialFiles


def score(
    benchmark: str,
    predictions: Path,
    annotations: Path,
    questions: Path | None,
    *,
    rule: str | None,
    allow_missing: bool,
    as_json: bool,
) -> None:
    """Prints the score of a file of predictions; arguments as in `score_files`."""
    extension = default_registry().benchmark(benchmark)
    factory = extension.load_benchmark()
    if not issubclass(factory, OfficialFiles):
        raise CobraError(
            f"{extension.title} cannot score files of predictions",
            hint="Its class does not derive from cobra_kit.interfaces.OfficialFiles.",
        )
    result = score_files(
        factory,
        expanded(predictions),
        expanded(annotations),
        expanded(questions) if questions else None,
        rule=rule,
        allow_missing=allow_missing,
    )
    if as_json:
        typer.echo(escaped_json(json.dumps(_as_json(extension.qualified, result), indent=2, ensure_ascii=False)))
    else:
        typer.echo(printable_lines("\n".join(_text(extension.qualified, result)), columns.width() or 200))


def _text(name: str, result: FileScore) -> list[str]:
    main, *others = result.summary
    lines = [f"{name}  {main} {_percent(result.summary[main])}{_range(result)}"]
    lines += [f"  {label:<22}{_percent(result.summary[label]):>7}" for label in others]
    lines += [
        f"  questions         {len(result.scores):,} of {result.questions:,}",
        f"  split             {result.split}",
        "  decoding, prompt  unknown here: whatever made the predictions",
        f"  post-processing   {result.rule.description}",
        f"  rule              {result.rule.name} ({result.why})",
        f"                    {result.rule.source}",
    ]
    return lines + [f"  note: {note}" for note in result.notes]


def _range(result: FileScore) -> str:
    interval = result.interval
    if interval.low is None or interval.high is None:
        return "  (one image: no interval)"
    return f"  [{_percent(interval.low)}, {_percent(interval.high)}]  ({interval.level:.0%} interval over images)"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _as_json(name: str, result: FileScore) -> dict[str, Any]:
    return {
        "benchmark": name,
        "summary": dict(result.summary),
        "interval": {"low": result.interval.low, "high": result.interval.high, "level": result.interval.level},
        "questions": result.questions,
        "scored": len(result.scores),
        "left_out": dict(result.left_out),
        "protocol": {
            "split": result.split,
            "prompt": None,
            "decoding": None,
            "rule": result.rule.name,
            "post_processing": result.rule.description,
        },
        "rule": {"name": result.rule.name, "chosen": result.why, "source": result.rule.source},
        "notes": list(result.notes),
    }
