"""Rewrites the generated blocks of README.md and docs/*.md from the code: `python docs/generate.py [--check]`.

A block stands between `<!-- generated: NAME -->` and `<!-- end generated -->`; NAME is a key of `BLOCKS`.
With `--check` nothing is written; the exit status is 1 where a page differs from the code.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ablation_results

from cobra_kit._plugins import Registry
from cobra_kit.data.public.preparing import public_sets
from cobra_kit.exchange import FORMATS
from cobra_kit.plugin import KINDS, ExtensionKind
from cobra_kit.recipe import builtin_recipes, load_recipe
from cobra_kit.recipe.not_built import NOT_BUILT

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- generated: ([a-z0-9 -]+) -->\n).*?(<!-- end generated -->)", re.DOTALL)


def component_table() -> str:
    """Returns every first-party component: kind, name, what it is."""
    registry = Registry.discover()
    rows = [
        (kind.replace("_", " "), f"`{c.qualified}`", c.spec.summary, "not yet" if c.spec.unfinished else "yes")
        for kind in KINDS
        for c in registry.components(kind)
    ]
    return markdown_table(("kind", "component", "what it is", "builds"), rows)


def extension_table() -> str:
    """Returns every first-party data source, benchmark, rule and tracker."""
    registry = Registry.discover()
    kinds: tuple[ExtensionKind, ...] = ("data_source", "benchmark", "scoring_rule", "tracker")
    rows = [
        (kind.replace("_", " "), f"`{extension.qualified}`", extension.spec.summary.replace("<", "&lt;"))
        for kind in kinds
        for extension in registry.extensions(kind)
    ]
    return markdown_table(("kind", "name", "what it is"), rows)


def public_set_table() -> str:
    """Returns every public data set that `data prepare` knows."""
    rows = [(f"`{name}`", item.title, item.licence) for name, item in public_sets().items()]
    return markdown_table(("name", "what it is", "licence"), rows)


def recipe_table() -> str:
    """Returns every packaged recipe with its title."""
    rows = [(f"`{name}`", load_recipe(path).title) for name, path in sorted(builtin_recipes().items())]
    rows += [(f"`{recipe.name}`", f"{recipe.title}: not built, {recipe.reason}") for recipe in NOT_BUILT]
    return markdown_table(("recipe", "what it is"), rows)


def format_table() -> str:
    """Returns every form of checkpoint that is read or written."""
    rows = [(f"`{name}`", form.reads or "", form.writes or "") for name, form in FORMATS.items()]
    return markdown_table(("format", "import reads", "export writes"), rows)


def command_help(*command: str) -> str:
    """Returns the help text of a command at 80 columns, as a code block."""
    done = subprocess.run(
        [sys.executable, "-m", "cobra_kit", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"},
    )
    return f"```\n{done.stdout.strip()}\n```"


def results(name: str) -> str:
    """Returns what a benchmark's last kept run claims and how long everybody took, from its file of results."""
    file = RESULTS / f"{name}.json"
    if not file.exists():
        return f"Not measured yet: `python benchmarks/{name}.py --out {file.relative_to(ROOT).as_posix()}`."
    record = json.loads(file.read_text(encoding="utf-8"))
    machine = record["machine"]
    versions = ", ".join(f"{key} {machine[key]}" for key in ("torch", "transformers", "mambapy") if key in machine)
    head = f"`{record['command']}` on {record['date']}: {machine['processor']}, {machine['cores']} cores, {versions}; "
    head += f"the machine's load at the end was {machine['load']}. {' '.join(record['notes'])}"
    claims = [(claim["what"], *_reached(claim)) for claim in record["claims"]]
    names = sorted({key for row in record["timings"] for key in row} - {"comparison", "contestant", *_FIGURES})
    rows = [
        (row["comparison"], row["contestant"], *(str(row.get(key, "")) for key in names), *_milliseconds(row))
        for row in record["timings"]
    ]
    tables = [head, markdown_table(("what", "reached", "goal", "met"), claims)]
    if rows:
        tables.append(markdown_table(("what was timed", "by", *names, "median ms", "best ms", "calls"), rows))
    return "\n\n".join(tables)


JOURNEY = (
    "cli/run.py",
    "cli/run_action.py",
    "recipe/load.py",
    "study/plan/study_plan.py",
    "study/execution/run_study.py",
    "trials/worker.py",
    "study/execution/run_trial.py",
    "model/composition.py",
    "train/run.py",
    "train/loop.py",
    "train/step.py",
)
"""The files that a run goes through until weights change, in order."""

_NO_ROOMS = {"__init__", "__main__", "_moved"}


def room_table() -> str:
    """Returns every room in the order of the layers, with what its docstring says.

    Raises:
        SystemExit: A room stands in no layer.
    """
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (
        contract["layers"] for contract in settings["tool"]["importlinter"]["contracts"] if contract["type"] == "layers"
    )
    levels = [[name.strip(" ()") for name in re.split(r"[|:]", layer)] for layer in layers]
    placed = {name for level in levels for name in level}
    folder = ROOT / "cobra_kit"
    rooms = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    if homeless := sorted(rooms - placed - _NO_ROOMS):
        raise SystemExit(f"in no layer of pyproject.toml: {', '.join(homeless)}")
    rows = [
        (str(number), f"`{name}`", _first_sentence(_source(folder / name)))
        for number, level in enumerate(levels, start=1)
        for name in level
        if name in rooms  # a layer may keep a place for a room that is still to come
    ]
    return markdown_table(("layer", "room", "what it holds"), rows)


def plugin_table() -> str:
    """Returns the import packages of the first-party plugins."""
    folders = sorted(path.parent for path in (ROOT / "plugins").glob("*/__init__.py"))
    rows = [(f"`{path.name}`", _first_sentence(path / "__init__.py")) for path in folders]
    return markdown_table(("package", "what it offers"), rows)


def journey_table() -> str:
    """Returns the files of `JOURNEY` with what each does.

    Raises:
        SystemExit: One of them is not there.
    """
    files = [ROOT / "cobra_kit" / name for name in JOURNEY]
    if gone := [name for name, file in zip(JOURNEY, files, strict=True) if not file.exists()]:
        raise SystemExit(f"JOURNEY names what is not there: {', '.join(gone)}")
    rows = [
        (str(number), f"`{name}`", _first_sentence(file))
        for number, (name, file) in enumerate(zip(JOURNEY, files, strict=True), start=1)
    ]
    return markdown_table(("", "file", "what it does"), rows)


def _source(room: Path) -> Path:
    return room / "__init__.py" if room.is_dir() else room.with_suffix(".py")


def _first_sentence(file: Path) -> str:
    """Returns the first sentence of a module's docstring, as a table takes it."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=\.)\s", " ".join(text.partition("\n\n")[0].split()), maxsplit=1)[0].replace("|", "\\|")


def _reached(claim: dict[str, Any]) -> tuple[str, str, str]:
    """Returns a claim's value, its goal and whether it is met."""
    value, goal, unit = claim["value"], claim["goal"], claim["unit"]
    shown = f"{value:.3g} {unit}".strip()
    if goal is None:
        return shown, "", ""
    met = value >= goal if claim["at_least"] else value <= goal
    return shown, f"at {'least' if claim['at_least'] else 'most'} {goal:g} {unit}".strip(), "yes" if met else "no"


_FIGURES = ("median_ms", "best_ms", "calls")


def _milliseconds(row: dict[str, Any]) -> tuple[str, str, str]:
    return f"{row['median_ms']:.4g}", f"{row['best_ms']:.4g}", str(row["calls"])


def markdown_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Returns a Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


BLOCKS: dict[str, Callable[[], str]] = {
    "ablations": ablation_results.page,
    "components": component_table,
    "extensions": extension_table,
    "public sets": public_set_table,
    "recipes": recipe_table,
    "formats": format_table,
    "help": command_help,
    "help plugins list": lambda: command_help("plugins", "list"),
    "help bench": lambda: command_help("bench"),
    "help doctor": lambda: command_help("doctor"),
    "help evaluate": lambda: command_help("evaluate"),
    "help plan": lambda: command_help("plan"),
    "help recipes": lambda: command_help("recipes"),
    "help recipes calibrate": lambda: command_help("recipes", "calibrate"),
    "help report": lambda: command_help("report"),
    "help reproduce": lambda: command_help("reproduce"),
    "help score": lambda: command_help("score"),
    "help run": lambda: command_help("run"),
    "help sweep": lambda: command_help("sweep"),
    "rooms": room_table,
    "plugin packages": plugin_table,
    "journey": journey_table,
    "results contention": lambda: results("contention"),
    "results decode": lambda: results("decode"),
    "results scan": lambda: results("scan"),
    "results start-up": lambda: results("start_up"),
    "results training-step": lambda: results("training_step"),
}


def rewritten(text: str) -> str:
    """Returns a page with its generated blocks made anew.

    Raises:
        SystemExit: A block has an unknown name.
    """

    def fill(match: re.Match[str]) -> str:
        name = match.group(2)
        if name not in BLOCKS:
            raise SystemExit(f"no generated block named {name!r}; blocks are {', '.join(BLOCKS)}")
        return f"{match.group(1)}{BLOCKS[name]()}\n{match.group(3)}"

    return BLOCK.sub(fill, text)


def main() -> int:
    """Rewrites or checks every page."""
    check = "--check" in sys.argv[1:]
    stale = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        fresh = rewritten(text)
        if fresh != text:
            stale.append(page)
            if not check:
                page.write_text(fresh, encoding="utf-8")
    for page in stale:
        print(f"{page.relative_to(ROOT)}: {'differs from the code' if check else 'rewritten'}")
    if check and stale:
        print("run: python docs/generate.py")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
