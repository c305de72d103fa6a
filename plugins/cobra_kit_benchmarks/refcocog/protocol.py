"""RefCOCOg as the paper asks it, and its files: `val` of the split umd, 4,896 expressions for 2,573 references."""

from __future__ import annotations

from cobra_kit_benchmarks.common.counts import Counts
from cobra_kit_benchmarks.refcoco.protocol import refer_definition

DEFINITION = refer_definition("refcocog", "RefCOCOg", "refcocog", "umd", Counts((4_896,), 1_300))
