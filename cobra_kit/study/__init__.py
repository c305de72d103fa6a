"""Studies: every arm and seed of a recipe trained, evaluated and compared, whatever interrupts it.

    table = run("ablation_projector")                 # goes on where an earlier process stopped
    model = load("studies/ablation_projector-laptop/runs/mlp-s7")

`plan` says what is to be done, `folder` where it is kept, `execution` does it and writes it down, `search` chooses what
a sweep tries, and `reading` reads a study back from its files. They import one way: execution, search, reading, plan,
folder. Importing this package imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cobra_kit.study.execution.run_study import run
    from cobra_kit.study.plan.study_plan import RunPlan, StudyPlan, make_plan
    from cobra_kit.study.reading.loading import load

_HOMES = {
    "RunPlan": "plan.study_plan",
    "StudyPlan": "plan.study_plan",
    "load": "reading.loading",
    "make_plan": "plan.study_plan",
    "run": "execution.run_study",
}

__all__ = ["RunPlan", "StudyPlan", "load", "make_plan", "run"]


def __getattr__(name: str) -> Any:
    """Returns a public name, importing its module on first use (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
