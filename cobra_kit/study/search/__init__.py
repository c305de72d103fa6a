"""Searching: spaces, Optuna's algorithms by name, objectives."""

from __future__ import annotations

from cobra_kit.study.search.algorithms import GRID, make_pruner, make_sampler
from cobra_kit.study.search.check import check_space
from cobra_kit.study.search.space import grid, point_recipe, suggest

__all__ = ["GRID", "check_space", "grid", "make_pruner", "make_sampler", "point_recipe", "suggest"]
