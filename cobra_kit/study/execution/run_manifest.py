"""The facts that a run's numbers depend on beside its recipe: versions, machine, threads, data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cobra_kit.data.keys import short_hash
from cobra_kit.data.rejects import Rejects
from cobra_kit.data.rows import DataSource
from cobra_kit.errors import DamagedFile, DataError
from cobra_kit.files import read_sealed_json, write_sealed_json
from cobra_kit.machine import session
from cobra_kit.study.execution.shared_stages import SharedStage
from cobra_kit.study.folder import MANIFEST
from cobra_kit.study.plan.study_plan import RunPlan
from cobra_kit.study.reading.stored_files import read_run_manifest
from cobra_kit.train import StageResult

_FORM = 1
_CUTS = ("cut_rows", "cut_tokens", "cut_supervised_tokens", "supervised_tokens")
_ROWS = ("rows", "rejected_rows", *_CUTS, "unused_turns")


def begin_session(folder: Path, run: RunPlan, fingerprint: str, features: Path, device: str = "cpu") -> None:
    """Notes in a run's manifest that this process works on it.

    A run that was interrupted has one session per process, so that a change of machine or versions in between shows.

    Args:
        folder: The run's folder.
        run: The run that is worked on.
        fingerprint: Fingerprint of its data.
        features: Where the study keeps what belongs to its data.
        device: Where its model is: `cpu` or `cuda`.

    Raises:
        DataError: The run, or another run of the study with the same settings of `data`, began with other data.
    """
    path = folder / MANIFEST
    known = read_run_manifest(folder)
    if known is not None and known["data"] != fingerprint:
        raise DataError(
            f"the data are not those this run began with ({known['data']} then, {fingerprint} now)",
            where=str(folder),
            hint="They were edited, or drawn by another version of Pillow or of this package. Start over with --fresh.",
        )
    if known is None:
        _hold_to_study(features, run, fingerprint)
    manifest = known or {
        "form": _FORM,
        "arm": run.arm,
        "seed": run.seed,
        "components": run.resolved.lock(),
        "data": fingerprint,
        "sessions": [],
    }
    manifest["sessions"].append(session(device))
    write_sealed_json(path, manifest)


def _hold_to_study(features: Path, run: RunPlan, fingerprint: str) -> None:
    """Refuses a run on other data than those of the study's runs before it: arms would differ in more than the factor.

    Arms whose settings of `data` differ, because those are the factor, are not held to each other.
    """
    settings = run.resolved.plain()["data"]
    file = features / f".data-{short_hash({'data': settings})}.json"
    hint = "Delete it and give the study's command again: it is written anew."
    try:
        first = read_sealed_json(file, hint=hint).get("fingerprint")
        if not isinstance(first, str):
            raise DamagedFile(file, "names no data", hint)
    except FileNotFoundError:  # the first run of the study
        features.mkdir(parents=True, exist_ok=True)
        write_sealed_json(file, {"fingerprint": fingerprint, "data": settings})
        return
    if first != fingerprint:
        raise DataError(
            f"the data are not those this study began with ({first} then, {fingerprint} now)",
            where=str(file),
            hint="They were edited, or drawn by another version of Pillow or of this package, so the arms could not be "
            "compared. Put the data back, or start over with --fresh.",
        )


def note_shared_stages(folder: Path, stages: Sequence[SharedStage]) -> None:
    """Notes in a run's manifest which stages it shares with other runs, where they are kept, and who made them."""
    if not stages:
        return
    manifest = read_run_manifest(folder)
    assert manifest is not None  # begin_session wrote it
    manifest["shared_stages"] = {stage.result.stage: {"key": stage.key, "made_by": stage.made_by} for stage in stages}
    write_sealed_json(folder / MANIFEST, manifest)


def note_rows(folder: Path, source: DataSource, stages: Sequence[StageResult]) -> None:
    """Notes in a run's manifest how many rows there were, and what of them was left out or cut.

    Args:
        folder: The run's folder.
        source: The data; a source that leaves rows out of its files has them in `rejects`.
        stages: What its stages learnt from.
    """
    manifest = read_run_manifest(folder)
    assert manifest is not None  # begin_session wrote it
    rows: dict[str, Any] = {}
    files = {"data.rows": getattr(source, "rejects", None), "data.captions": getattr(source, "caption_rejects", None)}
    if files["data.captions"] is files["data.rows"]:  # one file serves every stage
        del files["data.captions"]
    for name, rejects in files.items():
        if isinstance(rejects, Rejects):
            rows[name] = {"rows": rejects.out_of, "rejected_rows": rejects.total}
    for stage in stages:
        plain = asdict(stage)
        rows[f"train.{stage.stage}"] = {key: plain[key] for key in _ROWS}
    manifest["rows"] = rows
    write_sealed_json(folder / MANIFEST, manifest)
