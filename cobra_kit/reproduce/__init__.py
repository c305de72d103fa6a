"""The paper's tables, cell by cell: which recipe stands for a row, what was reached, and what is in the way.

    report = reproduction("paper.table5", studies=Path("studies"))

A laptop's result stands beside a cell and never counts as meeting it.
"""

from __future__ import annotations

from cobra_kit.reproduce.cells import Cell, ReproducedRow, Reproduction, reproduction
from cobra_kit.reproduce.execute import run_missing
from cobra_kit.reproduce.sources import Source, sources_of, table_named

__all__ = [
    "Cell",
    "ReproducedRow",
    "Reproduction",
    "Source",
    "reproduction",
    "run_missing",
    "sources_of",
    "table_named",
]
