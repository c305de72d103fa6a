"""The machines that runs were made on, from their manifests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError
from cobra_kit.formatting import printable
from cobra_kit.report import RunMachine
from cobra_kit.study.reading.stored_files import read_run_manifest

_LONGEST_NAME = 200


def run_machines(folders: Iterable[Path]) -> tuple[RunMachine, ...]:
    """Returns each machine with its threads and torch, the one with most runs first.

    A run that was interrupted and went on elsewhere counts for every machine that worked on it. Manifests of older
    versions lack some facts, and a damaged one lacks all: nothing is guessed.

    Args:
        folders: The runs' folders.
    """
    counts: Counter[RunMachine] = Counter()
    for folder in folders:
        manifest: Mapping[str, Any] = {}
        with suppress(CobraError):  # damaged: `missing` of `progress` says so
            manifest = read_run_manifest(folder) or {}
        counts.update(dict.fromkeys([_machine(session) for session in manifest.get("sessions") or [{}]], 1))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], repr(item[0])))
    return tuple(replace(machine, runs=runs) for machine, runs in ordered)


def _machine(session: Mapping[str, Any]) -> RunMachine:
    packages = session.get("packages")
    accelerated = str(session.get("device", "")).startswith("cuda")
    return RunMachine(
        processor=_text(session.get("processor")),
        vector_bits=_count(session.get("vector_bits")),
        threads=_count(session.get("threads")),
        torch=_text(packages.get("torch")) if isinstance(packages, Mapping) else None,
        accelerator=_text(session.get("accelerator")) if accelerated else None,
    )


def _text(value: object) -> str | None:
    return printable(value, _LONGEST_NAME) if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else None
