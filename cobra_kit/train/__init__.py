"""Training: stages, the loop, optimiser and schedule, resume."""

from __future__ import annotations

from cobra_kit.train.identity import training_identity
from cobra_kit.train.loop import TrainIntervals, Validate
from cobra_kit.train.results import StageResult, TrainResult
from cobra_kit.train.run import train_run
from cobra_kit.train.stages import STAGES, Stage, check_cut_shares, set_stage, stage_rows

__all__ = [
    "STAGES",
    "TrainIntervals",
    "Stage",
    "StageResult",
    "TrainResult",
    "Validate",
    "check_cut_shares",
    "set_stage",
    "stage_rows",
    "train_run",
    "training_identity",
]
