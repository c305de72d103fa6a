"""The trials of a study that stands in a folder, wherever they are kept.

Whoever made the folder wrote into it which database has them. To connect there is to offer that server this user's
name and password, so it is done only where the user says so, or gave the same database for this study before.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Literal

from cobra_kit.errors import CobraError, DamagedFile
from cobra_kit.events import Reporter, silent
from cobra_kit.names import path_word
from cobra_kit.study.reading.stored_files import check_journal
from cobra_kit.study.reading.stored_study import StoredStudy
from cobra_kit.study.trial_attributes import STUDY_NAME, TEXTS
from cobra_kit.trials import NAME, open_storage, redact_url
from cobra_kit.trials.known_storages import remembered_storage
from cobra_kit.trials.records import DATABASE_HINT, JOURNAL_HINT, check_records
from cobra_kit.trials.storage import JOURNAL
from cobra_kit.trials.storage_url import FORM, HIDDEN, STORAGE_VARIABLE, is_redacted

if TYPE_CHECKING:
    from optuna import Study


def stored_trials(
    stored: StoredStudy,
    storage: str | None = None,
    *,
    command: Literal["status", "report"] = "status",
    report: Reporter = silent,
) -> Study:
    """Returns the trials of a study, as Optuna has them; nothing is made or changed.

    Args:
        stored: The study as its folder has it.
        storage: URL of the database that the user gave; None: the one in the environment or the one that this user
            gave for the study before, if it is the one that the folder names.
        command: Who asks, for the hint.
        report: Told that a database is waited for.

    Raises:
        CobraError: The storage cannot be read, may not be connected to without being asked for, or has no such study.
    """
    import optuna

    noted = _noted(stored) if storage is None else None
    if noted is not None:
        storage = _allowed(stored, noted)
        if storage is None:
            raise _not_connected(stored, noted, command)
    if storage is None and not (stored.path / JOURNAL).exists():
        hint = "cobra-kit run or sweep records them."
        raise CobraError("the study has no trials yet", where=str(stored.path), hint=hint)
    name = stored.trials_name if storage else STUDY_NAME
    opened = open_storage(storage, stored.path, reading=True, report=report)
    if storage is None:
        check_journal(stored.path, stored.manifest)
    try:
        sampler = optuna.samplers.RandomSampler()  # never asked
        study = optuna.load_study(study_name=name, storage=opened, sampler=sampler)
    except KeyError as error:
        if storage:
            hint = "Give the URL that the sweep was given."
            raise CobraError(f"no study is named {name} there", where=redact_url(storage), hint=hint) from error
        hint = "cobra-kit run or sweep records them."
        raise CobraError("the study has no trials yet", where=str(stored.path / JOURNAL), hint=hint) from error
    where = redact_url(storage) if storage else str(stored.path / JOURNAL)
    check_records(study, where, DATABASE_HINT if storage else JOURNAL_HINT, TEXTS)
    if storage is None:
        _check_whole(study, stored)
    return study


def _check_whole(study: Study, stored: StoredStudy) -> None:
    """Raises a `DamagedFile` if a journal lacks a trial whose run stands in the folder: its end was cut off.

    The trials of an ablation are written before the first of them begins; those of a search one after the other.
    """
    if "sweep" in stored.recipe:
        return
    names = {trial.user_attrs.get(NAME) for trial in study.get_trials(deepcopy=False)}
    for run in stored.runs:
        if run.name not in names and stored.folder.run(run).is_dir():
            problem = f"has no trial {run.name}, whose run stands beside it: its end is missing"
            raise DamagedFile(stored.path / JOURNAL, problem, JOURNAL_HINT)


def _noted(stored: StoredStudy) -> str | None:
    """Returns the database that the folder names, without secrets: older manifests may hold some."""
    noted = stored.manifest.get("storage")  # `read_study` has seen to it that it is a text
    return redact_url(str(noted)) if noted else None


def _allowed(stored: StoredStudy, noted: str) -> str | None:
    """Returns the URL to connect to; None where the user has to say so."""
    given = os.environ.get(STORAGE_VARIABLE, "")
    if given and redact_url(given) == noted:
        return given
    remembered = remembered_storage(stored.path)
    return remembered if remembered == noted and not is_redacted(noted) else None


def _not_connected(stored: StoredStudy, noted: str, command: str) -> CobraError:
    words = ["cobra-kit", command, path_word(stored.path), "--storage"]
    if noted == HIDDEN:
        line = shlex.join([*words, FORM])
        return CobraError("which database has the trials is not kept", where=str(stored.path), hint=f"Give it: {line}")
    line = shlex.join([*words, noted])
    if remembered_storage(stored.path) == noted:
        hint = f"Its password is kept nowhere. Write it in place of ***, or set {STORAGE_VARIABLE} to the whole URL:"
    else:
        instead = ", with the password in place of ***" if is_redacted(noted) else ""
        hint = (
            "Nothing was connected to: whoever made the folder chose that server, and it would be offered your name\n"
            f"and password. If you trust it{instead}:"
        )
    return CobraError(f"the study keeps its trials in {noted}", where=str(stored.path), hint=f"{hint}\n  {line}")
