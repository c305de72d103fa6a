"""Trials that are never lost nor doubled, whatever happens to the workers: Optuna's storage with leases of our own."""

from __future__ import annotations

from cobra_kit.trials.lease import HeartbeatConfig, LeaseLostError
from cobra_kit.trials.queue import ERROR, INFEASIBLE, NAME, REASON, LeasedTrial, TrialQueue, TrialSpec, trial_name
from cobra_kit.trials.storage import open_storage
from cobra_kit.trials.storage_error import StorageError, redact_url
from cobra_kit.trials.worker import Infeasible, Objective, Outcome, work

__all__ = [
    "ERROR",
    "INFEASIBLE",
    "NAME",
    "REASON",
    "LeasedTrial",
    "Infeasible",
    "LeaseLostError",
    "Objective",
    "Outcome",
    "TrialSpec",
    "StorageError",
    "HeartbeatConfig",
    "TrialQueue",
    "open_storage",
    "redact_url",
    "trial_name",
    "work",
]
