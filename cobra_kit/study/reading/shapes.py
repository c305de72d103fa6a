"""What has to stand in the JSON files of a study, so that whoever reads on need not ask again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from cobra_kit.errors import DamagedFile

_EXTRA = ConfigDict(extra="allow", strict=True)  # a later version may add keys


class StudyManifest(BaseModel):
    """`manifest.json` of a study."""

    model_config = _EXTRA
    study: str
    profile: str | None
    arms: list[str]
    reference: str
    seeds: list[int]
    identity: dict[str, Any]
    created: str = ""
    cobra_kit: str = ""
    storage: str | None = None
    files: dict[str, dict[str, Any]] = {}


class _Session(BaseModel):
    model_config = _EXTRA
    packages: dict[str, str | None] | None = None


class RunManifest(BaseModel):
    """`manifest.json` of a run."""

    model_config = _EXTRA
    data: str
    sessions: list[_Session]


class _Entry(BaseModel):
    model_config = _EXTRA
    rule: str
    questions: int
    summary: dict[str, float | None]
    floor: float | None
    ceiling: float | None
    mean_of_groups: bool
    file: str
    group_floors: dict[str, float] = {}
    choice_mass: float | None = None
    left_out: int = 0
    digest: dict[str, Any] | None = None


class Summary(RootModel[dict[str, dict[str, _Entry] | str]]):
    """`scores.json`: by condition and benchmark; the text beside them is the seal."""


class TrainingFigures(BaseModel):
    """`training.json`."""

    model_config = _EXTRA
    seconds: float
    tokens: int
    padding_share: float
    parameters_trained: int
    image_tokens: int
    stages: list[dict[str, Any]]
    shared_seconds: float = 0.0
    peak_memory_bytes: int | None = None
    files: dict[str, dict[str, Any]] | None = None


class ReportedRecipe(BaseModel):
    """Of `recipe.yaml`: what a report reads without the recipe's plugins."""

    model_config = _EXTRA

    class _Paper(BaseModel):
        model_config = _EXTRA
        table: str
        rows: dict[str, str] = {}

    class _Ablation(BaseModel):
        model_config = _EXTRA
        factor: str | list[str] = ""
        paper: ReportedRecipe._Paper | None = None
        not_meaningful: dict[str, str] | None = None

    class _Named(BaseModel):
        model_config = _EXTRA
        use: str

    class _Sweep(BaseModel):
        model_config = _EXTRA
        sampler: ReportedRecipe._Named
        pruner: ReportedRecipe._Named | None = None

    title: str | None = None
    description: str | None = None
    ablation: ReportedRecipe._Ablation | None = None
    sweep: ReportedRecipe._Sweep | None = None


Stored = BaseModel


def check_shape(value: object, shape: type[Stored], path: Path, hint: str) -> None:
    """Checks that what a file holds is what whoever wrote it writes.

    Raises:
        DamagedFile: It is not; names the first place.
    """
    try:
        shape.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:100]
        problem = first["msg"][:1].lower() + first["msg"][1:]
        raise DamagedFile(path, f"{ascii(place)[1:-1]}: {problem}" if place else problem, hint) from error
