"""Trials that are never lost nor doubled, whatever happens to the workers: Optuna's storage with leases of our own."""

from __future__ import annotations

from cobra_kit.study.trials.board import ERROR, INFEASIBLE, NAME, REASON, HeldTrial, Point, TrialBoard
from cobra_kit.study.trials.lease import LeaseLostError, Terms
from cobra_kit.study.trials.storage import StorageError, open_storage, shown
from cobra_kit.study.trials.worker import Infeasible, Objective, Outcome, work

__all__ = [
    "ERROR",
    "INFEASIBLE",
    "NAME",
    "REASON",
    "HeldTrial",
    "Infeasible",
    "LeaseLostError",
    "Objective",
    "Outcome",
    "Point",
    "StorageError",
    "Terms",
    "TrialBoard",
    "open_storage",
    "shown",
    "work",
]
