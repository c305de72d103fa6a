"""Rewrites the generated blocks of README.md and docs/*.md from the code: `python docs/generate.py [--check]`.

A block stands between `<!-- generated: NAME -->` and `<!-- end generated -->`; NAME is a key of `BLOCKS`.
With `--check` nothing is written; the exit status is 1 where a page differs from the code.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cobra_kit._plugins import Registry
from cobra_kit.exchange import FORMATS
from cobra_kit.plugin import KINDS
from cobra_kit.recipe import builtin_recipes, load_recipe
from cobra_kit.recipe.not_built import NOT_BUILT

ROOT = Path(__file__).resolve().parents[1]
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


def recipe_table() -> str:
    """Returns every packaged recipe with its title."""
    rows = [(f"`{name}`", load_recipe(path).title) for name, path in sorted(builtin_recipes().items())]
    rows += [(f"`{one.name}`", f"{one.title}: not built, {one.reason}") for one in NOT_BUILT]
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


def markdown_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Returns a Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


BLOCKS: dict[str, Callable[[], str]] = {
    "components": component_table,
    "recipes": recipe_table,
    "formats": format_table,
    "help": command_help,
    "help plugins list": lambda: command_help("plugins", "list"),
    "help bench": lambda: command_help("bench"),
    "help doctor": lambda: command_help("doctor"),
    "help plan": lambda: command_help("plan"),
    "help recipes": lambda: command_help("recipes"),
    "help report": lambda: command_help("report"),
    "help reproduce": lambda: command_help("reproduce"),
    "help sweep": lambda: command_help("sweep"),
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
