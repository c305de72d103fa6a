"""A study as its folder has it: read without its recipe, its plugins or its data, finished or not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError, DamagedFile, RecipeError, kind_of
from cobra_kit.files import is_sealed, read_utf8
from cobra_kit.formatting import did_you_mean, nearest, printable
from cobra_kit.recipe.locate import RECIPE_BYTES
from cobra_kit.recipe.yaml_reader import parse_yaml
from cobra_kit.report import PaperReference
from cobra_kit.study.folder import MANIFEST, RECIPE, StudyFolder
from cobra_kit.study.plan.study_plan import run_name
from cobra_kit.study.reading.stored_files import (
    AGAIN,
    SPLIT,
    STUDY_HINT,
    check_study_file,
    damaged_recipe,
    is_scored,
    read_run_manifest,
    read_study_manifest,
)
from cobra_kit.study.reading.stored_forms import MOST_RUNS, RecipeForm, check_form

_LONGEST_TEXT = 1000
"""Of a recipe's words that stand in tables."""
_NO_DIGESTS = "the study was written before files carried digests: damage to its files may go unnoticed"


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run, as far as its folder's name goes."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Returns the name of its folder."""
        return run_name(self.arm, self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStudy:
    """A study as its folder describes it.

    Args:
        path: The study's folder.
        name: The recipe's name.
        profile: Name of the profile; may be empty.
        arms: Names of the arms, in the recipe's order.
        reference: The arm that the others are compared with.
        seeds: Training seeds, in the recipe's order.
        manifest: The whole manifest.
        recipe: The resolved recipe as plain data.
        recipe_text: The resolved recipe as YAML.
    """

    path: Path
    name: str
    profile: str
    arms: tuple[str, ...]
    reference: str
    seeds: tuple[int, ...]
    manifest: Mapping[str, Any]
    recipe: Mapping[str, Any]
    recipe_text: str

    @property
    def folder(self) -> StudyFolder:
        """Returns its paths."""
        return StudyFolder(self.path)

    @property
    def runs(self) -> tuple[StoredRun, ...]:
        """Returns its runs, seed by seed."""
        return tuple(StoredRun(arm, seed) for seed in self.seeds for arm in self.arms)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Returns what another study must agree with to be the same one."""
        identity: Mapping[str, Any] = self.manifest["identity"]
        return identity

    @property
    def trials_name(self) -> str:
        """Returns the name that its trials have in a database."""
        return "-".join(filter(None, (self.name, self.profile)))

    @property
    def run_manifests(self) -> Iterator[Mapping[str, Any]]:
        """Yields what the numbers of its runs depend on, of those that are begun."""
        for run in self.runs:
            with suppress(CobraError):  # damaged: `missing` of `progress` says so
                if (manifest := read_run_manifest(self.folder.run(run))) is not None:
                    yield manifest

    @property
    def sessions(self) -> list[Mapping[str, Any]]:
        """Returns the sessions of work on its runs, of those that are begun."""
        return [session for manifest in self.run_manifests for session in manifest.get("sessions", ())]

    def check_finished(self) -> None:
        """Checks that every run has its test scores.

        Raises:
            CobraError: Some have not; names them.
        """
        left = [run.name for run in self.runs if not is_scored(self.folder.run(run), SPLIT)]
        if left:
            raise CobraError(
                f"the study is not finished: {', '.join(left)}",
                where=str(self.path),
                hint="Give the command that began it again: it goes on where it stopped.",
            )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Returns what whoever reads it should know."""
        return () if is_sealed(self.manifest) else (_NO_DIGESTS,)

    @property
    def factor(self) -> str:
        """Returns what the arms differ in; empty where there is one arm."""
        factor = self._ablation.get("factor", "")
        factors = [factor] if isinstance(factor, str) else factor
        return " and ".join(printable(path, _LONGEST_TEXT) for path in factors)

    @property
    def paper(self) -> PaperReference | None:
        """Returns the published rows to compare with; None where the reference has none."""
        paper = self._ablation.get("paper")
        rows = {arm: row for arm, row in (paper or {}).get("rows", {}).items() if arm in self.arms}
        return PaperReference(table=paper["table"], rows=rows) if paper and self.reference in rows else None

    @property
    def left_out(self) -> Mapping[str, str]:
        """Returns the arms that are not run, with the reason."""
        reasons: Mapping[str, str] = self._ablation.get("not_meaningful") or {}
        return {printable(arm, _LONGEST_TEXT): printable(reason, _LONGEST_TEXT) for arm, reason in reasons.items()}

    def finished(self) -> StoredStudy | None:
        """Returns the part that a table can be made of: arms with a finished run, under seeds they share.

        Where the reference has none, the first of the others stands in for it. None where no run is finished.
        """
        scored = [run for run in self.runs if is_scored(self.folder.run(run), SPLIT)]
        kept: list[str] = []
        shared: set[int] = set()
        for arm in sorted(self.arms, key=lambda arm: arm != self.reference):
            seeds = {run.seed for run in scored if run.arm == arm}
            common = seeds & shared if kept else seeds
            if common:
                kept, shared = [*kept, arm], common
        if not kept:
            return None
        return replace(self, arms=tuple(arm for arm in self.arms if arm in kept), reference=kept[0], seeds=self.seeds)

    @property
    def _ablation(self) -> Mapping[str, Any]:
        section: Mapping[str, Any] = self.recipe.get("ablation") or {}
        return section


def read_study(path: Path) -> StoredStudy:
    """Returns the study in a folder.

    Raises:
        CobraError: There is none, or what describes it is damaged.
    """
    manifest = _manifest(path)
    if manifest is None:
        raise CobraError("no study here", where=str(path), hint=_hint(path))
    if len(manifest["arms"]) * len(manifest["seeds"]) > MOST_RUNS or manifest["reference"] not in manifest["arms"]:
        raise DamagedFile(path / MANIFEST, "what describes the study is damaged (its arms or seeds)", STUDY_HINT)
    for what in ("seeds", "arms"):
        if twice := [value for value, count in Counter(manifest[what]).items() if count > 1]:
            listed = printable(", ".join(map(str, twice)), _LONGEST_TEXT)
            raise DamagedFile(
                path / MANIFEST, f"what describes the study is damaged ({what} given twice: {listed})", STUDY_HINT
            )
    check_study_file(path, RECIPE, manifest)
    recipe_text = _recipe_text(path / RECIPE)
    return StoredStudy(
        path=path,
        name=manifest["study"],
        profile=manifest["profile"] or "",
        arms=tuple(manifest["arms"]),
        reference=manifest["reference"],
        seeds=tuple(manifest["seeds"]),
        manifest=manifest,
        recipe=_recipe(recipe_text, path / RECIPE),
        recipe_text=recipe_text,
    )


def _manifest(path: Path) -> dict[str, Any] | None:
    """Returns what describes the study in a folder; None where there is none, or a run, or somebody else's file."""
    if _is_run(path):
        return None
    try:
        return read_study_manifest(path)
    except DamagedFile:
        if os.path.lexists(path / RECIPE):
            raise
        return None


def _is_run(path: Path) -> bool:
    return path.parent.name == "runs" and os.path.isfile(path.parent.parent / MANIFEST)


def _recipe_text(file: Path) -> str:
    try:
        return read_utf8(file, RECIPE_BYTES, hint=AGAIN)
    except DamagedFile as error:
        raise damaged_recipe(file, error.message) from error


def _recipe(text: str, file: Path) -> dict[str, Any]:
    """Returns the recipe as plain data, as far as it is read without its plugins."""
    try:
        value = parse_yaml(text, str(file)).plain()
        if not isinstance(value, dict):
            raise DamagedFile(file, f"it is {kind_of(value)}")
        check_form(RecipeForm, value, file)
    except (RecipeError, DamagedFile) as error:
        raise damaged_recipe(file, error.message) from error
    return dict(value)


def list_studies(root: Path) -> list[StoredStudy]:
    """Returns the studies in the folders below `root`, those that can be read, by name."""
    studies = []
    for manifest in sorted(root.glob(f"*/{MANIFEST}")):
        try:
            studies.append(read_study(manifest.parent))
        except CobraError:
            continue  # a run's folder, or somebody else's file of that name
    return studies


def _hint(path: Path) -> str:
    if _is_run(path):
        return f"This is a run. Its study is {path.parent.parent}"
    root = path if os.path.isdir(path) else path.parent
    near = [str(study.path) for study in list_studies(root)] if os.path.isdir(root) else []
    if near and os.path.isdir(path):
        return f"Studies in it: {', '.join(near[:8])}"
    close = did_you_mean(nearest(str(path), near, most=1))
    return close or "`cobra-kit run` makes studies in studies/RECIPE-PROFILE."
