"""The one engine behind `run` and `sweep`: a study's trials in Optuna's storage, and a worker that does them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cobra_kit.data.lock import locked
from cobra_kit.errors import CobraError
from cobra_kit.events import Event, Message, Reporter
from cobra_kit.study.folder import StudyFolder
from cobra_kit.study.kinds import TrialKind, guarded
from cobra_kit.study.trials import HeldTrial, Outcome, Terms, TrialBoard, open_storage, work

if TYPE_CHECKING:
    from cobra_kit.study.shared import Shared
    from cobra_kit.train import Pace

STUDY_NAME = "cobra-kit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """How a study is worked on.

    Args:
        storage: URL of a database; None: a journal in the study's folder.
        name: The study's name in the storage; None: a fixed one, since the folder holds one study only.
        worker: Number of this worker, from 0.
        fail_fast: Stop at the first trial that goes wrong.
        timeout: Seconds after which no further trial is begun.
        terms: How long a silent worker is waited for.
    """

    storage: str | None = None
    name: str | None = None
    worker: int = 0
    fail_fast: bool = False
    timeout: float | None = None
    terms: Terms = field(default_factory=Terms)


def open_board(kind: TrialKind, folder: StudyFolder, crew: Crew) -> TrialBoard:
    """Returns the study's trials, recorded on first use.

    Raises:
        CobraError: The storage cannot be reached, or holds a study of another kind under this name.
    """
    import optuna

    storage = open_storage(crew.storage, folder.path)
    name = crew.name or (STUDY_NAME if crew.storage is None else kind.plan.recipe.name)
    # The kernels of two processes that create the same study at once meet in the storage; one of them waits here.
    with locked(folder.path / ".create.lock", lambda: None):
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            load_if_exists=True,
            directions=kind.directions,
            sampler=kind.sampler(crew.worker),
            pruner=kind.pruner(),
        )
        if [one.name.lower() for one in study.directions] != kind.directions:
            raise CobraError(
                f"the storage has another study named {name!r}: its objectives differ",
                where=crew.storage,
                hint="Give this one another folder with --out, or another database with --storage.",
            )
        if len(kind.metrics) == len(kind.directions):
            study.set_metric_names(kind.metrics)
    board = TrialBoard(study, folder.path, crew.terms)
    board.provide(kind.points())
    return board


def work_through(
    kind: TrialKind,
    folder: StudyFolder,
    shared: Shared,
    crew: Crew,
    report: Reporter,
    pace: Pace | None = None,
) -> Outcome:
    """Does a study's trials until all have ended, together with whoever else works on them.

    Raises:
        KeyboardInterrupt: Ctrl-C; what is done is kept.
        CobraError: `crew.fail_fast`, or the storage cannot be reached.
    """

    def objective(held: HeldTrial) -> Sequence[float]:
        place = folder.path / "runs" / held.name
        with locked(_lock(place), lambda: _wait(held, report)):
            return kind.run(held, folder, shared, guarded(held, report), pace)

    deadline = None if crew.timeout is None else time.monotonic() + crew.timeout
    board = open_board(kind, folder, crew)
    return work(board, objective, report=report, fail_fast=crew.fail_fast, deadline=deadline)


def _lock(place: Path) -> Path:
    """Two processes never work in one run's folder, not even for the moment until the slower one notices."""
    place.parent.mkdir(parents=True, exist_ok=True)
    return place.with_name(f".{place.name}.lock")


def _wait(held: HeldTrial, report: Reporter) -> None:
    told: Event = Message(text=f"{held.name}: waiting until its earlier worker has stopped")
    report(told)
