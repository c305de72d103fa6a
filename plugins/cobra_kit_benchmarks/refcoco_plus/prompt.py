"""The wording of RefCOCO+ is RefCOCO's."""

from __future__ import annotations

from cobra_kit_benchmarks.refcoco.prompt import PROMPTS

__all__ = ["PROMPTS"]
