"""The protocols of a table's benchmarks, for a terminal, Markdown, a caption and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cobra_kit import columns
from cobra_kit.report.table import AblationTable, TableRow

HEADING = "how each was asked and scored"
UNKNOWN = {"decoding": "the rest was not recorded"}
"""What stands beside the rule of scores that an older version made."""
_NOTHING = {"post-processing": "none"}
_INDENT = "  "

Parts = Mapping[str, str]


def protocols(table: AblationTable) -> list[tuple[str, Parts]]:
    """Returns benchmarks and the parts of their protocol, those of one protocol together; none where nobody said."""
    return (
        grouped({row.benchmark: _parts(row) for row in table.rows}) if any(row.protocol for row in table.rows) else []
    )


def _parts(row: TableRow) -> Parts:
    parts = row.protocol or {"rule": row.rule, **UNKNOWN}
    return {**parts, "asked": "afterwards, of finished runs"} if row.afterwards else parts


def grouped(by_benchmark: Mapping[str, Parts]) -> list[tuple[str, Parts]]:
    """Returns the names of benchmarks that share a protocol, joined, with its parts."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, parts in by_benchmark.items():
        groups.setdefault(tuple(parts.items()), []).append(name)
    return [(", ".join(names), dict(parts)) for parts, names in groups.items()]


def common_parts(groups: Sequence[tuple[str, Parts]]) -> dict[str, str]:
    """Returns the parts that all of several protocols have, so that they are said once."""
    if len(groups) < 2:
        return {}
    (_, first), *others = groups
    return {name: text for name, text in first.items() if all(parts.get(name) == text for _, parts in others)}


def protocol_cells(groups: Sequence[tuple[str, Parts]]) -> tuple[list[str], list[list[str]]]:
    """Returns headings and rows of a table: the benchmarks, then every part that any protocol has."""
    names = list(dict.fromkeys(name for _, parts in groups for name in parts))
    return ["benchmark", *names], [[label, *(parts.get(name, "") for name in names)] for label, parts in groups]


def protocol_lines(groups: Sequence[tuple[str, Parts]], width: int) -> list[str]:
    """Returns a block for a terminal: a line per protocol where that fits the width, else a paragraph.

    Args:
        groups: Benchmarks and the parts of their protocol; none give no line.
        width: Columns of the terminal.
    """
    if not groups:
        return []
    common = common_parts(groups)
    told = [(label, {name: text for name, text in parts.items() if name not in common}) for label, parts in groups]
    heading = columns.wrap(HEADING + (f" (all: {protocol_sentence(common)})" if common else ""), width)
    header, rows = protocol_cells(told)
    lines = columns.aligned([["", *header[1:]], *rows], "l" * len(header), indent=_INDENT)
    if max(map(len, lines)) <= width:
        return [*heading, *lines]
    paragraphs = [f"{label}: {protocol_sentence(parts)}" for label, parts in told]
    return heading + [line for text in paragraphs for line in _hanging(text, width)]


def protocol_sentence(parts: Parts) -> str:
    """Returns the parts of a protocol in a line, `split test; rule pope/exact`."""
    return "; ".join(f"{name} {text}" for name, text in parts.items())


def protocol_sentences(table: AblationTable) -> list[str]:
    """Returns a sentence per protocol of a table."""
    return [f"{label}: {protocol_sentence(parts)}." for label, parts in protocols(table)]


def _hanging(text: str, width: int) -> list[str]:
    first, *rest = columns.wrap(text, max(1, width - 2 * len(_INDENT)))
    return [_INDENT + first, *(2 * _INDENT + line for line in rest)]
