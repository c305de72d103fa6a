"""A bench as a file: everything that was found, and everything that it depends on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from cobra_kit.bench.results import BenchResult, Measurement
from cobra_kit.errors import CobraError
from cobra_kit.files import write_json
from cobra_kit.machine import session

FILE = "bench.json"
KIND, SCHEMA = "cobra-kit bench", 1
"""What the file is; the number rises with every change that readers must know of."""


def to_plain(result: BenchResult) -> dict[str, Any]:
    """Returns a bench as plain data: seconds, bytes, bytes per second, tokens per second; unrounded."""
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "statement": result.statement,
        "recipe": result.recipe,
        "profile": result.profile,
        "weights": result.settings.weights,
        "settings": asdict(result.settings),
        "repeats": result.repeats,
        "side_by_side": result.side_by_side,
        "interrupted": result.interrupted,
        "session": session(result.device),
        "bandwidth": {**asdict(result.bandwidth), "best": result.bandwidth.best},
        "cache": result.cache,
        "memory_how": result.memory_how,
        "subjects": {
            name: {"components": dict(parts), "stand_in_tokenizer": name in result.tokenizers}
            for name, parts in result.components.items()
        },
        "kernels": {name: [asdict(group) for group in groups] for name, groups in result.kernels.items()},
        "measurements": [_measurement(entry) for entry in result.measurements],
        "crossovers": {name: {**asdict(entry), "words": entry.sentence} for name, entry in result.crossovers.items()},
        "paper": {name: {"tokens_per_s": rate, "total_s": total} for name, (rate, total) in result.paper.items()},
        "not_run": [asdict(entry) for entry in result.not_run],
    }


def check_folder(folder: Path) -> None:
    """Makes the folder of a record, before anything is measured.

    Raises:
        CobraError: It cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{FILE}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CobraError(
            f"cannot write here: {error.strerror or error}", where=f"--out {folder}", hint="Name another folder."
        ) from error


def write_record(result: BenchResult, folder: Path) -> Path:
    """Writes `bench.json` into an existing folder, whole or not at all, and returns its path.

    Raises:
        CobraError: The file cannot be written.
    """
    path = folder / FILE
    write_json(path, to_plain(result))
    return path


def _measurement(measurement: Measurement) -> dict[str, Any]:
    return {
        **asdict(measurement),
        "traffic_total": measurement.traffic.total,
        "prefill_tokens_per_s": measurement.prefill_rate,
        "decode_tokens_per_s": measurement.decode_rate,
        "all_tokens_by_whole_time_per_s": measurement.paper_rate,
    }
