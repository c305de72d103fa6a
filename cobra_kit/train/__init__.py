"""Training: stages, the loop, optimiser and schedule, resume."""

from __future__ import annotations

from cobra_kit.train.identity import training_identity
from cobra_kit.train.loop import TrainIntervals
from cobra_kit.train.results import StageResult, TrainResult
from cobra_kit.train.run import RunSettings, train_run
from cobra_kit.train.stage_task import Validate
from cobra_kit.train.stages import STAGES, Stage, check_cut_shares, set_stage, stage_rows

__all__ = [
    "STAGES",
    "RunSettings",
    "Stage",
    "StageResult",
    "TrainIntervals",
    "TrainResult",
    "Validate",
    "check_cut_shares",
    "set_stage",
    "stage_rows",
    "train_run",
    "training_identity",
]
