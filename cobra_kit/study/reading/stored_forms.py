"""The forms of a study's files, as types: whoever reads one looks here first, since anybody may have written it.

Keys that a file has besides are kept: newer versions write more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cobra_kit.errors import DamagedFile
from cobra_kit.names import name_problem
from cobra_kit.recipe.schema import ArmName

MOST_RUNS = 1_000_000
"""Runs that a study may name; nobody trains more, and listing them takes memory."""


def _name(text: str) -> str:
    if (wrong := name_problem(text)) is not None:
        raise ValueError(f"expected a name, and this one {wrong}")
    return text


Name = Annotated[str, AfterValidator(_name)]
Arm = Annotated[ArmName, Field(max_length=200)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**64)]


class Form(BaseModel):
    """The base of all forms."""

    model_config = ConfigDict(extra="allow", strict=True)


class StudyManifestForm(Form):
    """The manifest of a study."""

    study: Name
    profile: Name | None
    arms: list[Arm]
    reference: Arm
    seeds: list[Seed]
    identity: dict[str, Any]
    storage: str | None = None
    files: dict[str, dict[str, Any]] = Field(default={})
    journal: dict[str, Any] | None = None


class SessionForm(Form):
    """A process that worked on a run."""

    packages: dict[str, str] | None = None
    environment: dict[str, str] | None = None


class RunManifestForm(Form):
    """The manifest of a run, with all that its numbers depend on."""

    data: str
    sessions: list[SessionForm]


class ProtocolForm(Form):
    """The way a benchmark was asked and scored."""

    split: str
    prompt: str
    rule: str
    decoding: str
    post_processing: str = ""
    max_new_tokens: Count | None = None


class ScoreForm(Form):
    """A benchmark's entry in `scores.json`."""

    rule: str
    summary: dict[str, Number | None] = Field(min_length=1)
    floor: Number | None
    ceiling: Number | None
    mean_of_groups: bool
    file: str
    questions: Count | None = None
    group_floors: dict[str, Number] = Field(default={})
    choice_mass: Number | None = None
    left_out: Count = 0
    cut_answers: Count = 0
    protocol: ProtocolForm | None = None
    digest: dict[str, Any] | None = None


class SummaryForm(Form):
    """`scores.json`: per condition and benchmark one entry."""

    __pydantic_extra__: dict[str, dict[Name, ScoreForm]] = Field(init=False)


class TrainingForm(Form):
    """The record of a run's training; see `Training`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seconds: Annotated[Number, Field(ge=0)]
    tokens: Count
    padding_share: Annotated[float, Field(ge=0, le=1)]
    parameters_trained: Count
    image_tokens: Count
    stages: list[dict[str, Any]]
    shared_seconds: Annotated[Number, Field(ge=0)] = 0.0
    peak_memory_bytes: Count | None = None
    files: dict[str, dict[str, Any]] = Field(default={})


class ValidationForm(Form):
    """The result of a validation, by benchmark and in the mean."""

    __pydantic_extra__: dict[Name, Number | None] = Field(init=False)
    mean: Number | None = None


class MetricForm(Form):
    """A line of `metrics.jsonl`."""

    stage: str
    step: Count
    steps: Count | None = None
    loss: Number | None = None
    seconds: Number | None = None
    validation: ValidationForm | None = None


class PaperForm(Form):
    """The published rows that a study stands beside."""

    table: str
    rows: dict[str, str]


class AblationForm(Form):
    """The section that says what the arms of a study differ in."""

    factor: str | list[str] = ""
    paper: PaperForm | None = None
    not_meaningful: dict[str, str] | None = None


class UsedForm(Form):
    """A sampler or a pruner."""

    use: str = ""


class SweepForm(Form):
    """The section that says how a study searches."""

    sampler: UsedForm
    pruner: UsedForm | None = None


class RecipeForm(Form):
    """The part of a study's resolved recipe that is read."""

    title: str | None = None
    description: str | None = None
    ablation: AblationForm | None = None
    sweep: SweepForm | None = None


def check_form(form: type[Form], value: Mapping[str, Any], where: object, *, hint: str | None = None) -> None:
    """Checks that a mapping has a form.

    Args:
        form: The class that names keys and types.
        value: The mapping that was read.
        where: The file, for the error.
        hint: What to do about a damaged one.

    Raises:
        DamagedFile: The mapping does not have the form; the message names the first key that is wrong.
    """
    try:
        form.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:60] for part in first["loc"]) or "its content"
        reason = first["msg"][:1].lower() + first["msg"][1:200]
        raise DamagedFile(where, f"{ascii(place)[1:-1]}: {reason}", hint) from error
