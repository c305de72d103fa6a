"""RefCOCOg is read as RefCOCO is."""

from __future__ import annotations

from cobra_kit_benchmarks.refcoco.reader import read

__all__ = ["read"]
