"""The attributes of a study's trials in Optuna's storage: `execution` writes them, `reading` and `search` read them."""

from __future__ import annotations

from typing import Final

from cobra_kit.trials import NAME

STUDY_NAME: Final = "cobra-kit"
"""Of the one study in a folder's journal; in a database a study has its folder's name."""
RUN: Final = "cobra_kit:run"
"""Name of the run's folder, where it is not the trial's name."""
NOT_EVALUATED: Final = "cobra_kit:not_evaluated"
"""Marks a trial without any score; Optuna wants a value of everything that is complete, and has 0 of it."""
REPEATS: Final = "cobra_kit:repeats"
"""Name of the trial that was finished with the same values."""
TEXTS: Final = (NAME, RUN, REPEATS)
"""The attributes that are texts where a trial has them."""
