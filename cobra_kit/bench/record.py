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


def to_plain(found: BenchResult) -> dict[str, Any]:
    """Returns a bench as plain data: seconds, bytes, bytes per second, tokens per second; unrounded."""
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "statement": found.statement,
        "recipe": found.recipe,
        "profile": found.profile,
        "weights": found.settings.weights,
        "settings": asdict(found.settings),
        "repeats": found.repeats,
        "side_by_side": found.side_by_side,
        "interrupted": found.interrupted,
        "session": session(found.device),
        "bandwidth": {**asdict(found.bandwidth), "best": found.bandwidth.best},
        "cache": found.cache,
        "memory_how": found.memory_how,
        "subjects": {
            name: {"components": dict(parts), "stand_in_tokenizer": name in found.tokenizers}
            for name, parts in found.components.items()
        },
        "kernels": {name: [asdict(group) for group in groups] for name, groups in found.kernels.items()},
        "measurements": [_measurement(one) for one in found.measurements],
        "crossovers": {name: {**asdict(one), "words": one.words} for name, one in found.crossovers.items()},
        "paper": {name: {"tokens_per_s": rate, "total_s": total} for name, (rate, total) in found.paper.items()},
        "not_run": [asdict(one) for one in found.not_run],
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


def write_record(found: BenchResult, folder: Path) -> Path:
    """Writes `bench.json` into an existing folder, whole or not at all, and returns its path.

    Raises:
        CobraError: It cannot be written.
    """
    path = folder / FILE
    write_json(path, to_plain(found))
    return path


def _measurement(one: Measurement) -> dict[str, Any]:
    return {
        **asdict(one),
        "traffic_total": one.traffic.total,
        "prefill_tokens_per_s": one.prefill_rate,
        "decode_tokens_per_s": one.decode_rate,
        "all_tokens_by_whole_time_per_s": one.paper_rate,
    }
