"""Takes a packaged ablation's results over from its study: `python docs/take_results.py STUDY [STUDY ...]`.

Writes `docs/results/RECIPE.json`, which `python docs/generate.py` shows in results.md. A study is taken only as its
packaged recipe has it: finished, with its own settings and seeds, and nothing in the environment that changes sums.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import ablation_results
from ablation_results import FORM, packaged_ablations, settings_of

from cobra_kit.errors import CobraError
from cobra_kit.files import write_text
from cobra_kit.recipe import Recipe, differences
from cobra_kit.recipe.diff import MISSING
from cobra_kit.report import table_to_json
from cobra_kit.report.table import MIN_SEEDS
from cobra_kit.study.reading.provenance import environment_text, facts
from cobra_kit.study.reading.results import study_table
from cobra_kit.study.reading.stored_study import StoredStudy, read_study
from cobra_kit.study.reading.stored_trials import stored_trials

_FACTS = ("cobra-kit", "git commit", "Python", "system", "processor", "cores", "threads", "memory, GiB", "accelerator")
_PACKAGES = ("torch", "numpy")
_LARGE = ("parts", "choice_mass", "control_choice_mass")
"""Of a table's row: what the page does not show."""


def take(path: Path) -> Path:
    """Writes the results of a study into `docs/results`; returns the file.

    Raises:
        CobraError: It is no finished study of a packaged ablation, as that recipe has it.
    """
    study = read_study(path)
    recipe = _recipe_of(study)
    study.check_finished()
    _refuse_changed(study, recipe)
    if len(study.seeds) < MIN_SEEDS:
        raise CobraError(
            f"{len(study.seeds)} seeds, and a verdict needs {MIN_SEEDS} or more",
            where=str(path),
            hint=f"Give {study.name} more seeds (ablation.seeds in the recipe), and run it again.",
        )
    _refuse_environment(study)
    table = json.loads(table_to_json(study_table(study, study.folder)))
    for row in table["rows"]:
        for key in _LARGE:
            del row[key]
    record = {
        "form": FORM,
        "recipe": study.name,
        "command": f"cobra-kit run {study.name}",
        "date": str(study.manifest["created"])[:10],
        "wall_seconds": _wall_seconds(study),
        "facts": _facts(study),
        "identity": {key: value for key, value in study.identity.items() if key != "lock"},
        "table": table,
    }
    file = ablation_results.RESULTS / f"{study.name}.json"
    file.parent.mkdir(exist_ok=True)
    write_text(file, json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return file


def _recipe_of(study: StoredStudy) -> Recipe:
    """Returns the packaged recipe that a study is of."""
    recipes = packaged_ablations()
    if study.name not in recipes:
        hint = f"Packaged ablations are {', '.join(recipes)}."
        raise CobraError(f"{study.name} is no packaged ablation", where=str(study.path), hint=hint)
    recipe = recipes[study.name]
    if study.profile != (recipe.profile or ""):
        raise CobraError(
            f"a study of the profile {study.profile or 'none'}, and results are kept of {recipe.profile}",
            where=str(study.path),
            hint=f"Run it: cobra-kit run {study.name}",
        )
    return recipe


def _refuse_changed(study: StoredStudy, recipe: Recipe) -> None:
    stored = {key: value for key, value in study.identity.items() if key != "lock"}
    changed = differences(stored, settings_of(recipe))
    if not changed:
        return
    named = [
        f"{change.path} is {_shown(change.left)} there, {_shown(change.right)} in the recipe" for change in changed
    ]
    raise CobraError(
        f"the study has other settings than the packaged recipe: {'; '.join(named[:5])}",
        where=str(study.path),
        hint=f"Run it without --set: cobra-kit run {study.name} --fresh",
    )


def _refuse_environment(study: StoredStudy) -> None:
    held = {text for session in study.sessions if (text := environment_text(session))}
    if held:
        raise CobraError(
            f"the study ran with {', '.join(sorted(held))}",
            where=str(study.path),
            hint="Results are kept of what the recipe gives by itself: unset these and run it again. "
            "benchmarks/stability.py compares such a study with another.",
        )


def _facts(study: StoredStudy) -> list[tuple[str, str]]:
    """Returns machine, threads and versions; several values of one where runs differed."""
    known = dict(facts(study))
    named = [(name, known[name]) for name in _FACTS if name in known]
    sessions = study.sessions
    for package in _PACKAGES:
        versions = dict.fromkeys(session.get("packages", {}).get(package) for session in sessions)
        if shown := ", ".join(version for version in versions if version):
            named.append((package, shown))
    return named


def _wall_seconds(study: StoredStudy) -> float | None:
    """Returns the seconds from the study's begin to the end of its last run; None where trials are not kept."""
    try:
        trials = stored_trials(study).get_trials(deepcopy=False)
    except CobraError:
        return None
    begin = datetime.fromisoformat(str(study.manifest["created"])).astimezone()
    # Optuna's times are local ones without a zone.
    ends = [trial.datetime_complete.astimezone() for trial in trials if trial.datetime_complete]
    return round((max(ends) - begin).total_seconds(), 1) if ends else None


def _shown(value: Any) -> str:
    return "absent" if value is MISSING else json.dumps(value)


def main() -> int:
    """Takes over every study that is named."""
    if not sys.argv[1:] or sys.argv[1].startswith("-"):
        print(__doc__)
        return 0 if sys.argv[1:] else 2
    for name in sys.argv[1:]:
        try:
            file = take(Path(name))
        except CobraError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        print(f"{name}: {file.name} written")
    print("now: python docs/generate.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
