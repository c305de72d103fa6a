"""The numbers of the paper, as data, with where they come from.

paper_table("v4_table5_ablation").row("w/ LDPv2")["pope"]    # 87.7
"""

from __future__ import annotations

from cobra_kit.paper.benchmarks import COLUMN_LABELS, column_label, is_published, paper_column
from cobra_kit.paper.tables import PaperRow, PaperTable, paper_table, paper_table_names

__all__ = [
    "COLUMN_LABELS",
    "PaperRow",
    "PaperTable",
    "column_label",
    "is_published",
    "paper_column",
    "paper_table",
    "paper_table_names",
]
