"""The run that is asked: a run's folder, a study's arm and seed, or any saved model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cobra_kit.errors import CobraError
from cobra_kit.files import check_file, file_digest, inside
from cobra_kit.formatting import did_you_mean, nearest
from cobra_kit.model.checkpoint import WEIGHTS
from cobra_kit.recipe import Recipe, load_recipe
from cobra_kit.recipe.sections import EvaluateSection
from cobra_kit.study.folder import FEATURES, MANIFEST, RECIPE, TRAINING
from cobra_kit.study.reading.stored_evaluations import EVALUATIONS
from cobra_kit.study.reading.stored_files import AGAIN, read_training, saved_files


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRun:
    """A trained model's folder, and what its recipe says.

    Args:
        folder: The folder that holds the model.
        study: The study that it is a run of; None for a saved model alone.
        recipe: What the model was composed from.
    """

    folder: Path
    study: Path | None
    recipe: Recipe

    @property
    def evaluate(self) -> EvaluateSection:
        """Returns how its recipe evaluates."""
        return self.recipe.evaluate or EvaluateSection()

    @property
    def features(self) -> Path:
        """Returns where features of its encoder are kept: with the study's, which other runs use too."""
        return self.study / FEATURES if self.study else self.folder / EVALUATIONS / FEATURES

    def model_digest(self) -> str:
        """Returns the digest of its weights: answers of others are not its own."""
        return file_digest(self.folder / WEIGHTS).sha256


def find_run(given: Path) -> AskedRun:
    """Returns the run that a path names.

    Args:
        given: A folder with a saved model, `STUDY/ARM-sSEED`, or a study of one run.

    Raises:
        CobraError: There is none, or it is not trained to its end.
    """
    folder = _folder(given)
    in_study = folder.parent.name == "runs" and (folder.parent.parent / MANIFEST).is_file()
    if not (folder / WEIGHTS).is_file() or (in_study and read_training(folder) is None):
        raise _unfinished(folder, in_study=in_study)
    for name, digest in saved_files(folder).items():
        check_file(inside(folder, name, folder / TRAINING), digest, AGAIN)
    return AskedRun(
        folder=folder, study=folder.parent.parent if in_study else None, recipe=load_recipe(folder / RECIPE)
    )


def _folder(given: Path) -> Path:
    if (given / WEIGHTS).is_file() or (given.parent.name == "runs" and given.is_dir()):
        return given
    runs = sorted(path for path in given.glob("runs/*") if path.is_dir() and not path.name.startswith("."))
    if len(runs) == 1:
        return runs[0]
    if runs:
        raise CobraError(
            f"this is a study of {len(runs)} runs, and one of them is asked",
            where=str(given),
            hint=f"Name one, such as {', '.join(str(given / run.name) for run in runs[:6])}.",
        )
    if not given.is_dir() and (named := given.parent / "runs" / given.name).is_dir():
        return named
    if given.is_dir():
        raise CobraError(
            "no trained run here",
            where=str(given),
            hint="A run is STUDY/runs/ARM-sSEED, or STUDY/ARM-sSEED for short, or a folder of model.save_pretrained.",
        )
    raise CobraError("no such run", where=str(given), hint=_near(given))


def _near(given: Path) -> str:
    known = [path.name for path in given.parent.glob("runs/*") if path.is_dir()]
    known += [path.name for path in given.parent.glob("*") if path.is_dir()]
    close = did_you_mean([str(given.parent / name) for name in nearest(given.name, known)])
    return close or "A run is STUDY/runs/ARM-sSEED, or STUDY/ARM-sSEED for short, or a folder of model.save_pretrained."


def _unfinished(folder: Path, *, in_study: bool) -> CobraError:
    if in_study:
        return CobraError(
            "this run is not trained to its end, so there is no model to ask",
            where=str(folder),
            hint="Give its study's command again: it goes on where it stopped.",
        )
    return CobraError("no trained model here", where=str(folder), hint="Its model.safetensors is missing.")
