"""What a run's numbers depend on beside its recipe: versions, machine, threads, data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cobra_kit.errors import DataError
from cobra_kit.machine import session
from cobra_kit.store import write_json
from cobra_kit.study.folder import MANIFEST
from cobra_kit.study.plan import RunPlan
from cobra_kit.study.stages import SharedStage

_FORM = 1


def begin_session(folder: Path, run: RunPlan, fingerprint: str, device: str = "cpu") -> None:
    """Notes in a run's manifest that this process works on it.

    A run that was interrupted has one session per process, so that a change of machine or versions in between shows.

    Args:
        folder: The run's folder.
        run: The run.
        fingerprint: Of its data.
        device: Where its model is: `cpu` or `cuda`.

    Raises:
        DataError: The run began with other data.
    """
    path = folder / MANIFEST
    known = _read(path)
    if known is not None and known["data"] != fingerprint:
        raise DataError(
            f"the data are not those this run began with ({known['data']} then, {fingerprint} now)",
            where=str(folder),
            hint="They were edited, or drawn by another version of Pillow or of this package. Start over with --fresh.",
        )
    manifest = known or {
        "form": _FORM,
        "arm": run.arm,
        "seed": run.seed,
        "components": run.resolved.lock(),
        "data": fingerprint,
        "sessions": [],
    }
    manifest["sessions"].append(session(device))
    write_json(path, manifest)


def note_shared_stages(folder: Path, stages: Sequence[SharedStage]) -> None:
    """Notes in a run's manifest which stages it shares with other runs, where they are kept, and who made them."""
    if not stages:
        return
    manifest = _read(folder / MANIFEST)
    assert manifest is not None  # begin_session wrote it
    manifest["shared_stages"] = {one.result.stage: {"key": one.key, "made_by": one.made_by} for one in stages}
    write_json(folder / MANIFEST, manifest)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = manifest["data"], manifest["sessions"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"the run's manifest is damaged ({error})",
            where=str(path),
            hint="Delete the run's folder; it is run again.",
        ) from error
    return manifest
