"""The column of the paper's tables that each benchmark is to be read beside."""

from __future__ import annotations

from cobra_kit.arguments import text

COLUMN_LABELS = {
    "vqav2": "VQAv2",
    "gqa": "GQA",
    "vizwiz": "VizWiz",
    "textvqa": "TextVQA",
    "vsr": "VSR",
    "pope": "POPE",
    "refcoco": "RefCOCO",
    "refcoco_plus": "RefCOCO+",
    "refcocog": "RefCOCOg",
}

_PROMPT_ORDER = {"ocr_first": "OCR first", "ocr_last": "OCR last", "without_ocr": "without OCR"}
"""Columns of Table 7: TextVQA, by where the prompt has the OCR tokens."""

# The abilities of the embedded world stand beside the benchmark that asks for the same in the same form.
_COLUMNS = {
    "attribute": "vqav2",
    "count": "vqav2",
    "spatial": "vsr",
    "presence": "pope",
    "reading": "textvqa",
    "boxes": "refcoco",
    "refcoco+": "refcoco_plus",
    "refcoco-plus": "refcoco_plus",
} | {column: column for column in (*COLUMN_LABELS, *_PROMPT_ORDER)}


def paper_column(benchmark: str) -> str | None:
    """Returns the column for a benchmark (`vqav2`) or an ability of the embedded world (`presence`).

    None where the paper has nothing to compare with.
    """
    return _COLUMNS.get(text(benchmark, "benchmark").lower())


def is_published(benchmark: str) -> bool:
    """Returns whether a name is that of one of the paper's benchmarks, not of an ability that stands beside one."""
    column = paper_column(benchmark)
    return column is not None and _plain(benchmark) == _plain(column)


def _plain(name: str) -> str:
    return name.lower().replace("+", "_plus").replace("-", "_").replace("__", "_")


def column_label(column: str) -> str:
    """Returns how to print a column's name; the name itself where it is no benchmark."""
    return (COLUMN_LABELS | _PROMPT_ORDER).get(text(column, "column"), column)
