"""RefCOCO+ as the paper asks it, and its files: `val` of the split unc, 10,758 expressions for 3,805 references."""

from __future__ import annotations

from cobra_kit_benchmarks.common.counts import Counts
from cobra_kit_benchmarks.refcoco.protocol import refer_definition

DEFINITION = refer_definition("refcoco-plus", "RefCOCO+", "refcoco+", "unc", Counts((10_758,), 1_500))
