"""The packaged ablations' kept results (`docs/results/*.json`) as Markdown, beside the paper's differences.

`take_results.py` writes the files, `generate.py` puts `page()` into results.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cobra_kit.errors import CobraError
from cobra_kit.formatting import duration_with_units
from cobra_kit.paper import paper_column
from cobra_kit.recipe import Recipe, builtin_recipes, differences, load_recipe
from cobra_kit.report import AblationTable, TableRow, grid, table_from_json
from cobra_kit.study.plan.study_plan import make_plan, study_name

RESULTS = Path(__file__).resolve().parent / "results"
FORM = 1
"""Goes up when an older version could no longer read the files."""

Agreement = Literal["same", "opposite", "only here", "unseen", "no row"]
_SENTENCES: Mapping[Agreement, str] = {
    "same": "same direction as the paper",
    "opposite": "opposite to the paper",
    "only here": "seen here, and the paper has no difference",
    "unseen": "not to be seen at this size",
    "no row": "the paper has no row for this",
}


@dataclass(frozen=True, slots=True)
class KeptResults:
    """A study's results, as its file has them.

    Args:
        recipe: Name of the packaged recipe.
        command: The command that made the study.
        date: The day on which it began.
        wall_seconds: From its begin to the end of its last run, pauses included; None: not recorded.
        facts: (name, value) of machine, threads, versions.
        identity: The settings of the study, as its manifest has them.
        table: Its table, without parts and levels.
    """

    recipe: str
    command: str
    date: str
    wall_seconds: float | None
    facts: tuple[tuple[str, str], ...]
    identity: Mapping[str, Any]
    table: AblationTable


def page() -> str:
    """Returns every packaged ablation with its kept results; one that has none says how to get them.

    Raises:
        CobraError: Results are damaged, or of no packaged ablation.
    """
    recipes = packaged_ablations()
    for file in sorted(RESULTS.glob("*.json")):
        if file.stem not in recipes:
            hint = f"Delete it, or name it after its recipe: {', '.join(recipes)}."
            raise CobraError("results of no packaged ablation", where=str(file), hint=hint)
    return "\n\n".join(map(_ablation, recipes.values()))


def packaged_ablations() -> dict[str, Recipe]:
    """Returns the packaged recipes that compare arms, by name."""
    recipes = {name: load_recipe(path) for name, path in sorted(builtin_recipes().items())}
    return {name: recipe for name, recipe in recipes.items() if recipe.ablation is not None}


def read_results(file: Path) -> KeptResults:
    """Returns the results in a file of `docs/results`.

    Raises:
        CobraError: The file is of another form, or damaged.
    """
    hint = f"Take the study's files over again: python docs/take_results.py STUDY (writes {file.name})"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        if record["form"] != FORM:
            raise CobraError(f"results of form {record['form']}, expected {FORM}", where=str(file), hint=hint)
        if record["recipe"] != file.stem:
            raise CobraError(f"results of {record['recipe']} under another name", where=str(file), hint=hint)
        return KeptResults(
            recipe=record["recipe"],
            command=record["command"],
            date=record["date"],
            wall_seconds=record["wall_seconds"],
            facts=tuple((name, value) for name, value in record["facts"]),
            identity=record["identity"],
            table=table_from_json(json.dumps(record["table"]), str(file)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CobraError(f"damaged results: {type(error).__name__}: {error}", where=str(file), hint=hint) from error


def agreement(row: TableRow, arm: str, table: AblationTable) -> Agreement:
    """Returns how a difference stands to the paper's for the same factor."""
    published = paper_difference(row, arm, table)
    if published is None:
        return "no row"
    verdict = row.differences[arm].verdict
    if verdict not in ("higher", "lower"):
        return "unseen"
    if published == 0:
        return "only here"
    return "same" if (published > 0) == (verdict == "higher") else "opposite"


def paper_difference(row: TableRow, arm: str, table: AblationTable) -> float | None:
    """Returns the paper's difference of an arm to the reference on the benchmark of an ability; None without one."""
    column = paper_column(row.benchmark)
    if table.paper is None or column is None:
        return None
    return table.paper.differences.get(arm, {}).get(column)


def sentence(row: TableRow, arm: str, table: AblationTable) -> str:
    """Returns what a difference says beside the paper's."""
    kind, change = agreement(row, arm, table), row.differences[arm]
    if kind != "unseen":
        return _SENTENCES[kind]
    # Its interval alone excludes 0, but among so many comparisons one would by chance.
    corrected = " after Holm's correction" if change.verdict == "unclear" else ""
    size = f"smallest visible difference {grid.points(change.detectable)} points"
    return f"{_SENTENCES[kind]}{corrected} ({'the arms never differ' if change.detectable is None else size})"


def _ablation(recipe: Recipe) -> str:
    """Returns the section of one recipe."""
    file = RESULTS / f"{recipe.name}.json"
    if not file.exists():
        study = f"studies/{study_name(recipe)}"
        text = f"Not run yet: `cobra-kit run {recipe.name}`, then `python docs/take_results.py {study}`."
        return f"## {recipe.title}\n\n{text}"
    kept = read_results(file)
    lines = [_summary(kept.table, arm) for arm in kept.table.others]
    lines += [f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in kept.table.notes]
    lines += [_paper_source(kept.table), *_changed_since(kept, recipe), _made_by(kept)]
    bullets = "\n".join(f"- {line}" for line in lines if line)
    return "\n\n".join((f"## {recipe.title}", _scores(kept.table), _comparisons(kept.table), bullets))


def _scores(table: AblationTable) -> str:
    header = ("ability", *(f"{arm} (ref)" if arm == table.reference else arm for arm in table.arms), "floor", "ceiling")
    rows = [
        (
            grid.label(row),
            *(grid.estimate(row.scores.get(arm)) for arm in table.arms),
            grid.points(row.floor),
            grid.points(row.ceiling),
        )
        for row in table.rows
    ]
    return _markdown(header, rows)


def _comparisons(table: AblationTable) -> str:
    header = ("difference", "ability", f"points [{100 * table.level:g} %]", "verdict", "paper", "beside the paper")
    rows = []
    for arm in table.others:
        for row in table.rows:
            if (change := row.differences.get(arm)) is None:
                continue
            published = paper_difference(row, arm, table)
            paper = grid.NONE if published is None else grid.signed(published)
            cells = (grid.label(row), grid.difference(change), change.verdict, paper, sentence(row, arm, table))
            rows.append((f"{arm} - {table.reference}", *cells))
    return _markdown(header, rows)


def _summary(table: AblationTable, arm: str) -> str:
    """Returns one sentence about all comparisons of an arm."""
    named: dict[Agreement, list[str]] = {kind: [] for kind in _SENTENCES}
    for row in table.rows:
        if arm in row.differences:
            named[agreement(row, arm, table)].append(row.benchmark)
    parts = [f"{_SENTENCES[kind]}: {', '.join(names)}" for kind, names in named.items() if names]
    return f"**{arm} - {table.reference}**: {'; '.join(parts)}."


def _paper_source(table: AblationTable) -> str:
    if table.paper is None:
        return "The paper has no such ablation."
    rows = ", ".join(f"{arm} is `{row}`" for arm, row in table.paper.rows.items())
    return f"The paper: {table.paper.title} ({table.paper.source}); {rows}. {table.paper.note}".strip()


def _changed_since(kept: KeptResults, recipe: Recipe) -> list[str]:
    """Returns a line if the packaged recipe says something else today than when the study was run."""
    changed = differences(dict(kept.identity), settings_of(recipe))
    if not changed:
        return []
    names = ", ".join(f"`{change.path}`" for change in changed[:5])
    more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
    return [f"The recipe was changed since: {names}{more}. These are the results of what it said then."]


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Returns what a packaged recipe says, as a study's manifest has it, without versions of components."""
    identity: dict[str, Any] = json.loads(json.dumps(make_plan(recipe).identity()))
    del identity["lock"]
    return identity


def _made_by(kept: KeptResults) -> str:
    took = "not recorded" if kept.wall_seconds is None else duration_with_units(kept.wall_seconds)
    seeds = ", ".join(map(str, kept.table.seeds))
    facts = "; ".join(f"{name} {value}" for name, value in kept.facts)
    return f"`{kept.command}` on {kept.date}, {took} on the wall; seeds {seeds}; {facts}."


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
