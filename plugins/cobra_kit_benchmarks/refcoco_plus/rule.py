"""RefCOCO+ is scored by RefCOCO's rules."""

from __future__ import annotations

from cobra_kit_benchmarks.refcoco.rule import COBRA, MINIGPT4

__all__ = ["COBRA", "MINIGPT4"]
