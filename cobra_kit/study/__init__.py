"""Studies: every arm and seed of a recipe trained, evaluated and compared, whatever interrupts it.

    table = run("ablation_projector")                 # goes on where an earlier process stopped
    model = load("studies/ablation_projector-laptop/runs/mlp-s7")

`plan` says what is to be done, `folder` where it is kept, `work` does one run, `runner` all of them, `results` reads
them back. Importing this package imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cobra_kit.study.loading import load
    from cobra_kit.study.plan import RunPlan, StudyPlan, make_plan
    from cobra_kit.study.runner import run

_HOMES = {"RunPlan": "plan", "StudyPlan": "plan", "load": "loading", "make_plan": "plan", "run": "runner"}

__all__ = ["RunPlan", "StudyPlan", "load", "make_plan", "run"]


def __getattr__(name: str) -> Any:
    """Returns a public name, importing its module on first use (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
