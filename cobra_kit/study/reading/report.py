"""A study's report, from its files alone: finished runs are read again, unfinished ones are named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cobra_kit.errors import CobraError
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.report import AblationTable
from cobra_kit.report.sweep import SweepView
from cobra_kit.report.view import DisagreementExample, ReportView
from cobra_kit.study.reading.disagreements import disagreements
from cobra_kit.study.reading.progress import missing, run_views
from cobra_kit.study.reading.provenance import commands, documents, facts
from cobra_kit.study.reading.report_images import ReportImages
from cobra_kit.study.reading.results import study_table
from cobra_kit.study.reading.search_trials import sweep_view
from cobra_kit.study.reading.stored_study import StoredRun, StoredStudy, read_study


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyState:
    """A study and how far it is.

    Args:
        study: As its folder has it.
        table: The table of its finished runs; None where none is finished.
        missing: What is not done yet or damaged, a line each.
    """

    study: StoredStudy
    table: AblationTable | None
    missing: tuple[str, ...]


def study_state(path: Path) -> StudyState:
    """Returns a study's table from the scores of its finished runs.

    Raises:
        CobraError: There is no study, or its files are damaged.
    """
    study = read_study(path)
    finished = study.finished()
    table = study_table(finished, finished.folder) if finished is not None else None
    return StudyState(study=study, table=table, missing=missing(study, finished, run_views(study)))


def report_view(state: StudyState, report: Reporter = silent, storage: str | None = None) -> ReportView:
    """Returns everything that a study's page shows.

    Args:
        state: The study and how far it is.
        report: Told about long work, such as drawing images again, and about what cannot be shown.
        storage: URL of the database that has a search's trials, if the user gave one.
    """
    study, table = state.study, state.table
    sweep, unreachable = _sweep(study, storage, report)
    examples: tuple[DisagreementExample, ...] = ()
    images_missing = ""
    if table is not None and table.others:
        images = ReportImages(study, StoredRun(table.reference, table.seeds[0]), report)
        examples = disagreements(study, table, images)
        images_missing = images.missing
    return ReportView(
        title=_title(study, table),
        description=str(study.recipe.get("description") or ""),
        table=table,
        runs=run_views(study),
        sweep=sweep,
        missing=(*state.missing, *unreachable),
        disagreements=examples,
        images_missing=images_missing,
        facts=facts(study),
        documents=documents(study),
        commands=commands(study),
    )


def _sweep(study: StoredStudy, storage: str | None, report: Reporter) -> tuple[SweepView | None, tuple[str, ...]]:
    """Returns the trials of a search; where they cannot be reached, that, as something missing."""
    try:
        return sweep_view(study, storage, report), ()
    except CobraError as error:
        report(Message(text=f"missing  the search's trials: {error}", level="warning"))
        return None, (f"the search's trials: {error.message}",)


def _title(study: StoredStudy, table: AblationTable | None) -> str:
    if table is not None and study.factor:
        return table.title
    title = str(study.recipe.get("title") or study.name)
    return f"{title}, {study.profile} profile" if study.profile else title
