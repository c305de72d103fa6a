"""The schema of a recipe. Every field is described; unknown keys are errors.

`sections.py` has the sections about data, training and evaluation; a recipe that only describes a model has none of
them. A new section is a field of `Recipe` and, where arms may differ in it, a name in `ARM_SECTIONS`; `ARM_KEYS` has
those that they may not differ in as a whole.
"""

from __future__ import annotations

from typing import Annotated, Any

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import ConfigDict, Field, PrivateAttr, field_validator

from cobra_kit.errors import first_line
from cobra_kit.names import ARM_PATTERN, LONGEST_NAME
from cobra_kit.plugin import Kind
from cobra_kit.recipe.sections import DataSection, EvaluateSection, ListedSource, NamedTracker, Section, TrainSection
from cobra_kit.recipe.sweep import SweepSection
from cobra_kit.recipe.tree import Node, Origin, from_plain

ARM_SECTIONS = ("model", "data", "train", "evaluate")
ARM_KEYS = {"evaluate": ("precision",)}
"""Of a section that arms may differ in, the keys they may; the questions, above all, are the same for all."""

ArmName = Annotated[str, Field(pattern=ARM_PATTERN, max_length=LONGEST_NAME)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # what torch takes; it stands in a folder's name
MAX_SEEDS = 1_000


class Part(Section):
    """A component and its settings, flat beside `use`."""

    model_config = ConfigDict(extra="allow", strict=True, use_attribute_docstrings=True)

    use: str = Field(min_length=1)
    """The component, `plugin/name`; `name` alone where only one installed plugin has it."""

    def settings(self) -> dict[str, Any]:
        """Returns the component's own keys."""
        return dict(self.model_extra or {})


class ModelSection(Section):
    """The four parts of the model, in the order data flows."""

    vision_encoder: Part
    """Turns an image into visual tokens."""
    projector: Part
    """Maps visual tokens to the backbone's width."""
    fusion: Part
    """Lays out visual and text tokens in one sequence."""
    backbone: Part
    """The language model."""


class PublishedRow(Section):
    """The row of a published table that a model stands beside."""

    table: str
    """Id of a packaged table, such as `v4_table2_main`."""
    row: str
    """The name of the row."""


class PaperRows(Section):
    """The rows of a published table that an ablation stands beside."""

    table: str
    """Id of a packaged table, such as `v4_table5_ablation`."""
    rows: dict[ArmName, str] = Field(min_length=1)
    """Per arm the name of its row; arms that the paper does not have are left out."""


class Ablation(Section):
    """Models that differ in one factor and nowhere else."""

    factor: str | list[str]
    """The path, or the paths, that arms may differ in, such as `model.projector`."""
    reference: ArmName
    """The arm that the others are compared with."""
    arms: dict[ArmName, dict[str, Any] | None] = Field(min_length=2)
    """Per arm what it changes, written like the recipe itself; `{}` changes nothing."""
    seeds: list[Seed] = Field(default=[7], min_length=1, max_length=MAX_SEEDS)
    """Every arm is trained once per seed."""
    not_meaningful: dict[ArmName, Annotated[str, Field(min_length=1)]] = Field(default={})
    """Arms that would say nothing here, with the reason: they are not run, and tables say why."""
    paper: PaperRows | None = None
    """What the paper found for the same factor."""

    @property
    def factors(self) -> tuple[str, ...]:
        """Returns the paths that arms may differ in."""
        return (self.factor,) if isinstance(self.factor, str) else tuple(self.factor)

    @field_validator("factor")
    @classmethod
    def _names_a_factor(cls, value: str | list[str]) -> str | list[str]:
        if not value or not all(value):
            raise ValueError("expected at least one path, such as model.projector")
        return value

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, value: list[int]) -> list[int]:
        if len(set(value)) < len(value):
            raise ValueError(f"expected different seeds, found {value}")
        return value


class Recipe(Section):
    """A recipe after extends, profile and --set: what `load_recipe` returns.

    It remembers where each of its values was written; see `origin`.
    """

    title: str = ""
    """One line for lists and tables."""
    description: str = ""
    """What the recipe is for."""
    requires: list[str] = Field(default=[])
    """Python distributions that must be installed, as PEP 508 requirements, such as `cobra-kit-resampler>=1.2`."""
    seed: Seed = 7
    """Seed of a single model's random numbers; an ablation has seeds of its own."""
    model: ModelSection
    """The parts the model is composed from."""
    data: DataSection | Annotated[list[ListedSource], Field(min_length=1)] | None = None
    """What the model is trained and evaluated on: a source, or a list of several with weights."""
    train: TrainSection | None = None
    """How it is trained."""
    evaluate: EvaluateSection | None = None
    """How it is evaluated."""
    paper: PublishedRow | None = None
    """What the paper found for a single model; an ablation has rows of its own."""
    ablation: Ablation | None = None
    """Models to compare."""
    sweep: SweepSection | None = None
    """Settings to search through, with `cobra-kit sweep`."""
    trackers: list[str | NamedTracker] = Field(default=[])
    """What is told about every event of the runs: names, or names with settings, such as `{use: trackers/tensorboard}`.
    No result depends on it: it is no part of what a study is, nor of the recipe that a study keeps."""

    _name: str = PrivateAttr(default="recipe")
    _profile: str | None = PrivateAttr(default=None)
    _profiles: tuple[str, ...] = PrivateAttr(default=())
    _tree: Node | None = PrivateAttr(default=None)
    _note: str | None = PrivateAttr(default=None)

    @property
    def name(self) -> str:
        """Returns the file's name without its ending, such as `ablation_projector`."""
        return self._name

    @property
    def profile(self) -> str | None:
        """Returns the profile that was applied, or None."""
        return self._profile

    @property
    def profile_names(self) -> tuple[str, ...]:
        """Returns the profiles that the file offers."""
        return self._profiles

    @property
    def sources(self) -> tuple[DataSection, ...]:
        """Returns the sections of the data sources; none without data."""
        if isinstance(self.data, list):
            return tuple(self.data)
        return () if self.data is None else (self.data,)

    @property
    def tree(self) -> Node:
        """Returns the located values of this recipe; one that was made or changed in Python names no file."""
        plain = self.model_dump(mode="json", exclude_unset=True)
        if self._tree is not None and self._tree.plain() == plain:
            return self._tree
        return from_plain(plain, Origin(self._name))

    def origin(self, path: str) -> Origin:
        """Returns where the value at a dotted path was written, or the deepest value on the way to it."""
        return self.tree.origin_of(path.split("."))

    def part(self, kind: Kind) -> Part:
        """Returns the part of one kind."""
        part: Part = getattr(self.model, kind)
        return part

    @property
    def note(self) -> str | None:
        """Returns what of the recipe's file is not read under its profile, in one sentence, or None."""
        return self._note

    def located(
        self, tree: Node, *, name: str, profile: str | None, profiles: tuple[str, ...], note: str | None = None
    ) -> Recipe:
        """Returns this recipe with the record of where it came from."""
        self._tree, self._name, self._profile, self._profiles, self._note = tree, name, profile, profiles, note
        return self

    @field_validator("requires")
    @classmethod
    def _requirements_are_valid(cls, value: list[str]) -> list[str]:
        for text in value:
            try:
                Requirement(text)
            except InvalidRequirement as error:
                reason = first_line(error)
                raise ValueError(f"expected a requirement such as 'name>=1.2', found {text!r}: {reason}") from error
        return value


class RecipeFile(Recipe):
    """A recipe file: a recipe, or what it changes in the one it extends."""

    extends: str | None = None
    """The recipe this one is laid over: a file relative to this one, or a packaged name."""
    profiles: dict[str, Any] = Field(default={})
    """Named changes, one of which is applied; `laptop` unless another is asked for."""


def _arm_section(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns what an arm may say in a section: everything, or `ARM_KEYS` alone."""
    if name not in ARM_KEYS:
        section: dict[str, Any] = schema["properties"][name]
        return section
    section = schema["$defs"][f"{name.capitalize()}Section"]["properties"]
    allowed = {key: section[key] for key in ARM_KEYS[name]}
    return {"type": ["object", "null"], "properties": allowed, "additionalProperties": False}


def json_schema() -> dict[str, Any]:
    """Returns the JSON schema of a recipe file, for editors.

    Nothing is required, since everything may come from the recipe that a file extends.
    """
    schema = RecipeFile.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        section.pop("required", None)
    body = {
        "type": ["object", "null"],
        "properties": {k: v for k, v in schema["properties"].items() if k not in {"extends", "profiles"}},
        "additionalProperties": False,
    }
    schema["$defs"]["Change"] = body
    changes = {"type": "object", "additionalProperties": {"$ref": "#/$defs/Change"}}
    schema["properties"]["profiles"] |= changes
    arm = {"type": ["object", "null"], "additionalProperties": False}
    arm["properties"] = {name: _arm_section(schema, name) for name in ARM_SECTIONS}
    schema["$defs"]["Ablation"]["properties"]["arms"] |= {"additionalProperties": arm, "minProperties": 0}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema
