"""Searching: spaces, Optuna's algorithms by name, objectives."""

from __future__ import annotations

from cobra_kit.study.search.algorithms import GRID, make_pruner, make_sampler
from cobra_kit.study.search.space import grid, point_recipe, suggest

__all__ = ["GRID", "grid", "make_pruner", "make_sampler", "point_recipe", "suggest"]
