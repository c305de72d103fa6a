"""Opens the folder of a study: makes it, or sees to it that it holds the wanted study and that nobody else has it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cobra_kit import __version__
from cobra_kit.errors import CobraError, DamagedFile
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.files import (
    bytes_digest,
    caches_beneath,
    contents,
    is_sealed,
    json_bytes,
    refuse_links_out,
    write_bytes,
    write_json,
    write_sealed_json,
)
from cobra_kit.locks import locked
from cobra_kit.recipe import SettingDifference, differences
from cobra_kit.recipe.diff import MISSING
from cobra_kit.study.execution.folder_lock import held, held_for_worker, without_workers
from cobra_kit.study.folder import (
    FEATURES,
    FINAL_LOCK,
    HOLDER,
    LOCK_FILE,
    MANIFEST,
    RECIPE,
    REPORT,
    TABLE_JSON,
    TABLE_MARKDOWN,
    WORKERS_LOCK,
    StudyFolder,
)
from cobra_kit.study.reading.stored_files import check_study_file, read_study_manifest
from cobra_kit.trials.queue import TRIALS_LOCK
from cobra_kit.trials.storage import JOURNAL

if TYPE_CHECKING:
    from cobra_kit.study.execution.trial_sources import Plan

_CACHE = "cache"
_FORM = 1
_OURS = (
    RECIPE,
    LOCK_FILE,
    MANIFEST,
    TABLE_MARKDOWN,
    TABLE_JSON,
    REPORT,
    FEATURES,
    "shared",
    "runs",
    "workers",
    "trackers",
    _CACHE,
    JOURNAL,
    f"{JOURNAL}.flock",
)
_SHOWN = 8
_SETUP_LOCK = ".setup.lock"
_LOCKS = (HOLDER, _SETUP_LOCK, TRIALS_LOCK, FINAL_LOCK, WORKERS_LOCK)


@contextmanager
def open_study(
    path: Path,
    plan: Plan,
    *,
    fresh: bool = False,
    shared: bool = False,
    worker: bool = False,
    report: Reporter = silent,
) -> Iterator[StudyFolder]:
    """Holds the folder of a study for the length of a block; makes it on first use.

    Args:
        path: The study's folder.
        plan: What is to be kept there.
        fresh: Start over: everything that a study keeps there is deleted first.
        shared: Together with other processes of the same study.
        worker: For a process that holds the folder and has started this one.
        report: Told what a user should know.

    Raises:
        CobraError: Another process holds the folder, it belongs to another recipe, holds other things or links that
            lead out of it, or cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CobraError(
            f"cannot make the study folder: {error.strerror or error}", where=str(path), hint="Choose one with --out."
        ) from error
    _refuse_strangers(path)
    refuse_links_out(path, 2)
    with held_for_worker(path) if worker else held(path, report, shared=shared):
        with locked(path / _SETUP_LOCK, lambda: None):
            if fresh:
                with without_workers(path, report):
                    _clear(path)
            manifest = read_study_manifest(path)
            if manifest is None:
                _describe(path, plan)
            else:
                check_identity(str(path), manifest["identity"], plan.identity())
                _mend(path, plan, manifest, report)
        with caches_beneath(path / _CACHE) as remark:
            if remark is not None:
                report(Message(text=remark, level="warning"))
            yield StudyFolder(path)


def _refuse_strangers(path: Path) -> None:
    """Raises an error for a folder that holds something and no study: it is somebody's, and is left as it is."""
    inside = [name for name in contents(path) if name not in _LOCKS and not name.endswith(".tmp")]
    # A study whose manifest was deleted since it was damaged is still one.
    known = MANIFEST in inside or {RECIPE, LOCK_FILE, "runs"} <= set(inside)
    if inside and not known and not set(inside) <= set(_OURS):
        raise CobraError(
            f"the folder holds other things ({', '.join(inside[:3])}) and no study",
            where=str(path),
            hint="Choose a new folder with --out.",
        )


def _clear(path: Path) -> None:
    # The manifest goes last: a folder whose deletion was interrupted is still known as a study.
    for name in sorted(_OURS, key=lambda name: name == MANIFEST):
        place = path / name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def _describe(path: Path, plan: Plan) -> None:
    texts = _texts(plan)
    for name, content in texts.items():
        write_bytes(path / name, content)
    write_sealed_json(
        path / MANIFEST,
        {
            "form": _FORM,
            "study": plan.recipe.name,
            "profile": plan.recipe.profile,
            "arms": list(plan.arms),
            "reference": plan.reference,
            "seeds": list(plan.seeds),
            "cobra_kit": __version__,
            "created": datetime.now().astimezone().isoformat(timespec="seconds"),
            "identity": plan.identity(),
            "files": {name: asdict(bytes_digest(content)) for name, content in texts.items()},
        },
    )


def _texts(plan: Plan) -> dict[str, bytes]:
    """Returns the files that say what a study is beside its manifest, by name."""
    recipe = plan.resolved.to_yaml().encode("utf-8")
    return {RECIPE: recipe, LOCK_FILE: json_bytes(plan.lock(), indent=2) + b"\n"}


def _mend(path: Path, plan: Plan, manifest: dict[str, Any], report: Reporter) -> None:
    """Writes those files anew that are missing or damaged: the plan says what stood in them."""
    texts, mended = _texts(plan), {}
    for name in texts:
        try:
            check_study_file(path, name, manifest)
        except DamagedFile as error:
            report(Message(text=f"{path / name}: {error.message}; it is written anew", level="warning"))
            write_bytes(path / name, texts[name])
            mended[name] = asdict(bytes_digest(texts[name]))
    if mended and is_sealed(manifest):
        write_sealed_json(path / MANIFEST, {**manifest, "files": {**manifest.get("files", {}), **mended}})


def note_facts(folder: StudyFolder, **facts: Any) -> None:
    """Puts facts into the study's manifest; nothing is written where they stand there already."""
    manifest = read_study_manifest(folder.path)
    assert manifest is not None  # open_study wrote it
    if any(manifest.get(key) != value for key, value in facts.items()):
        # One without a digest stays without: other files of that study have none either, and readers say so.
        write = write_sealed_json if is_sealed(manifest) else write_json
        write(folder.path / MANIFEST, {**manifest, **facts})


def check_identity(where: str, known: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raises a `CobraError` that names the differing keys if a study is another one than wanted."""
    # Through JSON, as what is known went: a tuple there is a list here.
    differing = differences(known, json.loads(json.dumps(wanted)))
    if not differing:
        return
    lines = [_format_difference(difference) for difference in differing[:_SHOWN]]
    more = [f"and {len(differing) - _SHOWN} more"] if len(differing) > _SHOWN else []
    raise CobraError(
        "the study there was made by another recipe",
        where=where,
        hint="\n".join([*lines, *more, "Choose another folder with --out, or start over here with --fresh."]),
    )


def _format_difference(difference: SettingDifference) -> str:
    sides = (difference.left, difference.right)
    there, here = ("(none)" if value is MISSING else json.dumps(value, ensure_ascii=False) for value in sides)
    return f"{difference.path}: {there} there, {here} now"
