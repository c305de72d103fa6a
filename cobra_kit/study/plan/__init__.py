"""The plan of a study: one run per arm and seed."""

from __future__ import annotations

from cobra_kit.study.plan.study_plan import RunPlan, StudyPlan, make_plan

__all__ = ["RunPlan", "StudyPlan", "make_plan"]
