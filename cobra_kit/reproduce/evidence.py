"""The evidence of finished studies on a model and a benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cobra_kit.errors import CobraError
from cobra_kit.paper import is_published, paper_column
from cobra_kit.recipe import differences, load_recipe
from cobra_kit.report import AblationTable, Estimate
from cobra_kit.reproduce.sources import PROFILE, Source
from cobra_kit.study.plan.study_plan import make_plan
from cobra_kit.study.reading.results import study_table
from cobra_kit.study.reading.stored_study import StoredStudy, list_studies

_NAMED = 3
"""How many changed settings are named; others are counted."""
# More seeds make a study better, not another one; versions are in its report.
_FREE = ("lock.", "ablation.seeds", "seed", "profile")


@dataclass(frozen=True, slots=True)
class MeasuredScore:
    """A score and where it is from.

    Args:
        study: The study's folder.
        benchmark: Name of the benchmark.
        score: The score in points, with its interval.
        seeds: How many training runs it is the mean of.
        comparable: Whether it was made as the paper's profile says, with the published benchmark.
        why_not: What differs from the paper's profile; empty where it is comparable.
        choice_mass: How probable the choices of a first-token score are; None for other rules.
    """

    study: Path
    benchmark: str
    score: Estimate
    seeds: int
    comparable: bool
    why_not: str = ""
    choice_mass: float | None = None


class Evidence:
    """The studies below a folder.

    Args:
        root: Such as `studies`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tables: dict[Path, AblationTable | None] = {}
        self._differing: dict[tuple[Path, str], str] = {}

    def of(self, sources: Sequence[Source], column: str) -> list[MeasuredScore]:
        """Returns the scores of some arms on the benchmarks that a column stands for, comparable ones first."""
        scores = [
            score
            for source in sources
            for study in self._studies
            if study.name == source.study and source.arm in study.arms
            for score in self._scores(study, source, column)
        ]
        return sorted(scores, key=lambda score: not score.comparable)

    @cached_property
    def _studies(self) -> list[StoredStudy]:
        return list_studies(self._root)

    def _scores(self, study: StoredStudy, source: Source, column: str) -> list[MeasuredScore]:
        table = self._table(study)
        if table is None or source.arm not in table.arms:
            return []
        why_not = self._why_not(study, source)
        return [
            MeasuredScore(
                study=study.path,
                benchmark=row.benchmark,
                score=row.scores[source.arm],
                seeds=len(table.seeds),
                comparable=not why_not and is_published(row.benchmark),
                why_not=why_not or ("" if is_published(row.benchmark) else "another benchmark of the same form"),
                choice_mass=row.choice_mass.get(source.arm),
            )
            for row in table.rows
            if paper_column(row.benchmark) == column and source.arm in row.scores
        ]

    def _table(self, study: StoredStudy) -> AblationTable | None:
        if study.path not in self._tables:
            finished = study.finished()
            self._tables[study.path] = study_table(finished, finished.folder) if finished else None
        return self._tables[study.path]

    def _why_not(self, study: StoredStudy, source: Source) -> str:
        """Returns why a study is none of the paper's scale; empty where it is one."""
        if study.profile != PROFILE:
            return f"{study.profile or 'no'} profile"
        key = (study.path, source.recipe)
        if key not in self._differing:
            self._differing[key] = _changed(study, source.recipe)
        return self._differing[key]


def _changed(study: StoredStudy, recipe: str) -> str:
    try:
        plan = make_plan(load_recipe(recipe, profile=PROFILE))
    except CobraError as error:
        return f"the recipe cannot be read now: {error.message}"
    now: Mapping[str, object] = json.loads(json.dumps(plan.identity()))
    changed = [
        difference.path
        for difference in differences(dict(study.identity), dict(now))
        if not difference.path.startswith(_FREE)
    ]
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    return f"settings were changed: {', '.join(changed[:_NAMED])}{more}" if changed else ""
