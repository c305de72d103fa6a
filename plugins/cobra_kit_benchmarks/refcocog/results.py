"""Results of RefCOCOg have RefCOCO's form."""

from __future__ import annotations

from cobra_kit_benchmarks.refcoco.results import FORM, aliases, read

__all__ = ["FORM", "aliases", "read"]
