"""Reports: the ablation table as data, and how it is printed.

table = build_table(arms, benchmarks, reference="mlp", factor="model.projector", ...)
print(render_text(table, width=80))
render_markdown(table), render_latex(table), render_csv(table), table_to_json(table)
calibrate(arms, benchmarks, reference="mlp")          # where the reference stands between floor and ceiling
html.render_page(view)                                # a whole page, with plots and questions
"""

from __future__ import annotations

from cobra_kit.report.build import build_table
from cobra_kit.report.calibration import Calibration, ReferenceScore, calibrate
from cobra_kit.report.csv_text import render_csv
from cobra_kit.report.latex import render_latex
from cobra_kit.report.learning import LearningRow, LearningTable, StepRatio, StepsToLevel
from cobra_kit.report.machines import RunMachine
from cobra_kit.report.markdown import render_markdown
from cobra_kit.report.results import ArmResult, BenchmarkInfo, PaperReference
from cobra_kit.report.serial import table_from_json, table_to_json
from cobra_kit.report.table import AblationTable, ArmCost, Estimate, PaperNote, ScoreDifference, TablePart, TableRow
from cobra_kit.report.terminal import render_text, styled_text
from cobra_kit.report.view import ReportView

__all__ = [
    "AblationTable",
    "ArmCost",
    "ArmResult",
    "BenchmarkInfo",
    "Calibration",
    "Estimate",
    "LearningRow",
    "LearningTable",
    "PaperNote",
    "PaperReference",
    "ReferenceScore",
    "ReportView",
    "RunMachine",
    "ScoreDifference",
    "StepRatio",
    "StepsToLevel",
    "TablePart",
    "TableRow",
    "build_table",
    "calibrate",
    "render_csv",
    "render_latex",
    "render_markdown",
    "render_text",
    "styled_text",
    "table_from_json",
    "table_to_json",
]
