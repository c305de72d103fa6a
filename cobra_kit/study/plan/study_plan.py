"""From a recipe to what has to be done: one run per arm and seed, each resolved to its last default."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cobra_kit._plugins import Registry, default_registry
from cobra_kit.data.asked import asked_of_plugins, benchmark_lock
from cobra_kit.data.sources import example_data, extension_lock, offered_benchmarks, with_defaults
from cobra_kit.errors import RecipeError
from cobra_kit.formatting import suggest
from cobra_kit.recipe import Recipe, ResolvedRecipe, resolve, resolve_arms
from cobra_kit.recipe.problems import problem
from cobra_kit.recipe.sections import EvaluateSection, TrainSection
from cobra_kit.recipe.sweep import MAX_TRIALS
from cobra_kit.recipe.tree import Node, Origin
from cobra_kit.report import PaperReference

ONLY_ARM = "model"
"""The arm of a recipe without an ablation."""
WORDS = ("title", "description", "paper")
"""What a recipe says to its readers: another text does not make another study."""


def run_name(arm: str, seed: int) -> str:
    """Returns the name of a run's folder, such as `mlp-s7`."""
    return f"{arm}-s{seed}"


def study_name(recipe: Recipe) -> str:
    """Returns the name of a study's folder, such as `ablation_projector-laptop`."""
    return f"{recipe.name}-{recipe.profile}" if recipe.profile else recipe.name


_NEEDED: dict[str, Callable[[], str]] = {"data": example_data, "train": lambda: "{finetune: {epochs: 1}}"}


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run: an arm and a seed.

    Args:
        arm: The arm's name.
        seed: Seed of its random numbers.
        resolved: The complete recipe of the run.
    """

    arm: str
    seed: int
    resolved: ResolvedRecipe

    @property
    def name(self) -> str:
        """Returns the name of its folder, such as `mlp-s7`."""
        return run_name(self.arm, self.seed)

    @property
    def train(self) -> TrainSection:
        """Returns how it is trained."""
        assert self.resolved.recipe.train is not None  # make_plan has seen to it
        return self.resolved.recipe.train

    @property
    def evaluate(self) -> EvaluateSection:
        """Returns how it is evaluated."""
        return self.resolved.recipe.evaluate or EvaluateSection()

    @property
    def trained(self) -> str:
        """Returns all of the recipe that training may depend on, as text: runs of one seed that have it in common may
        differ in how they are evaluated and in nothing else."""
        return json.dumps({**self.resolved.plain(), "evaluate": None}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """All runs of a recipe.

    Args:
        resolved: The recipe with its ablation, data settings complete.
        reference: The arm that the others are compared with.
        runs: Seed by seed, and within a seed arm by arm, so that a study that is stopped early can compare; without
            arms that are not meaningful.
    """

    resolved: ResolvedRecipe
    reference: str
    runs: tuple[RunPlan, ...]

    @property
    def recipe(self) -> Recipe:
        """Returns the recipe."""
        return self.resolved.recipe

    @property
    def profile(self) -> str:
        """Returns the profile; empty where the recipe has none."""
        return self.recipe.profile or ""

    @property
    def name(self) -> str:
        """Returns the name of its folder, such as `ablation_projector-laptop`."""
        return study_name(self.recipe)

    @property
    def factor(self) -> str:
        """Returns what the arms differ in; empty where there is one arm."""
        return " and ".join(self.recipe.ablation.factors) if self.recipe.ablation else ""

    @property
    def arms(self) -> tuple[str, ...]:
        """Returns the arms in the recipe's order."""
        return tuple(dict.fromkeys(run.arm for run in self.runs))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Returns the seeds in the recipe's order."""
        return tuple(dict.fromkeys(run.seed for run in self.runs))

    @property
    def left_out(self) -> Mapping[str, str]:
        """Returns the arms that are not run, with the reason."""
        return self.recipe.ablation.not_meaningful if self.recipe.ablation else {}

    @property
    def asks_nothing(self) -> bool:
        """Returns whether it is known, before data are opened, that no model will be asked a benchmark."""
        return all(asked_benchmarks(run.resolved.recipe) == () for run in self.runs)

    @property
    def paper(self) -> PaperReference | None:
        """Returns the published rows to compare with."""
        if self.recipe.ablation is None:
            row = self.recipe.paper
            return PaperReference(table=row.table, rows={ONLY_ARM: row.row}) if row else None
        paper = self.recipe.ablation.paper
        return PaperReference(table=paper.table, rows=paper.rows) if paper else None

    def lock(self) -> dict[str, str]:
        """Returns per component of any arm the distribution it came from."""
        lock: dict[str, str] = {}
        for run in self.runs:
            lock |= run.resolved.lock()
        return dict(sorted(lock.items()))

    def identity(self) -> dict[str, Any]:
        """Returns what must be equal for two processes to work on one study; titles do not matter."""
        plain = {key: value for key, value in self.resolved.plain().items() if key not in WORDS}
        return {"profile": self.recipe.profile, **without_limits(plain), "lock": self.lock()}


def without_limits(plain: dict[str, Any]) -> dict[str, Any]:
    """Returns a recipe as plain data without what only allows a study to go on: it changes no result."""
    stages = plain.get("train") or {}
    train = {name: {k: v for k, v in stage.items() if k != "max_cut_share"} for name, stage in stages.items()}
    return {**plain, "train": train} if stages else plain


def make_plan(recipe: Recipe, registry: Registry | None = None) -> StudyPlan:
    """Returns the runs of a recipe. Nothing is made or opened.

    Args:
        recipe: A loaded recipe with data and train; one without an ablation is a study of one arm, `model`.
        registry: Where components come from; None: the installed plugins.

    Raises:
        RecipeError: A section is missing, an arm is wrong, or arms differ in more than the factor.
    """
    _check_unread(recipe)
    arms: Mapping[str, ResolvedRecipe] = resolve_arms(recipe, registry)
    ablation = recipe.ablation
    if ablation is None:
        arms = {ONLY_ARM: replace(resolve(recipe, registry), arm=ONLY_ARM)}
    for resolved in arms.values():
        check_sections(resolved.recipe)
        check_questions(resolved.recipe)
    seeds = ablation.seeds if ablation else [recipe.seed]
    if (count := len(seeds) * len(arms)) > MAX_TRIALS:
        message = (
            f"{len(arms):,} arms with {len(seeds):,} seeds are {count:,} runs, and at most {MAX_TRIALS:,} are done"
        )
        raise problem(recipe.tree, ("ablation", "seeds"), message, "use fewer seeds")
    complete = {arm: with_data(resolved) for arm, resolved in arms.items()}
    return StudyPlan(
        resolved=with_data(resolve(recipe, registry)) if recipe.data else resolve(recipe, registry),
        reference=ablation.reference if ablation else ONLY_ARM,
        runs=tuple(
            RunPlan(arm, seed, _changed(resolved, {"seed": seed}))
            for seed in seeds
            for arm, resolved in complete.items()
            if ablation is None or arm not in ablation.not_meaningful
        ),
    )


def _check_unread(recipe: Recipe) -> None:
    """Raises a `RecipeError` if a setting was given that no run of the plan reads.

    What it inherits from another recipe may stand there for other uses.
    """
    tree, ablation = recipe.tree, recipe.ablation
    if recipe.sweep is not None and (origin := _from_command_line(tree.get("sweep"))) is not None:
        raise RecipeError(
            "a run does not read the section `sweep`",
            where=str(origin),
            hint="cobra-kit sweep RECIPE searches; cobra-kit run trains the recipe as it stands.",
        )
    seed = tree.get("seed")
    if ablation is None or seed is None:
        return
    seeds = tree.get("ablation", "seeds")
    given_here = seeds is None or seeds.origin.source == seed.origin.source
    if _from_command_line(seed) is not None or (given_here and recipe.seed not in ablation.seeds):
        raise problem(
            tree,
            ("seed",),
            f"an ablation does not read `seed`: every arm is trained with each of ablation.seeds, {ablation.seeds}",
            f"--set 'ablation.seeds=[{recipe.seed}]', or in the recipe `ablation: {{seeds: [{recipe.seed}]}}`",
        )


def _from_command_line(node: Node | None) -> Origin | None:
    """Returns the `--set` that a value, or anything within it, came from; None where none did."""
    if node is None:
        return None
    if node.origin.source.startswith("--set "):
        return node.origin
    inside = node.value if isinstance(node.value, list) else node.entries().values()
    return next((origin for child in inside if (origin := _from_command_line(child)) is not None), None)


def check_sections(recipe: Recipe) -> None:
    """Raises a `RecipeError` if a recipe lacks what every run needs."""
    for section, example in _NEEDED.items():
        if getattr(recipe, section) is None:
            profile = f" under the profile {recipe.profile}" if recipe.profile else ""
            raise RecipeError(
                f"the recipe has no section `{section}`{profile}, so there is nothing to run",
                where=str(recipe.tree.origin),
                hint=f"Add, for example, `{section}: {example()}`. `cobra_kit.compose` builds models without it.",
            )


def check_questions(recipe: Recipe) -> None:
    """Raises a `RecipeError` if a recipe asks questions that its data cannot have; opens no data."""
    check_own(recipe, offered_benchmarks(recipe))
    asked_of_plugins(recipe)
    if recipe.evaluate is not None and recipe.evaluate.validation is not None and not own_benchmarks(recipe):
        raise no_validation(recipe)


def check_own(recipe: Recipe, offered: Collection[str]) -> None:
    """Raises a `RecipeError` if a recipe names a benchmark of its data that these do not have."""
    section = recipe.evaluate or EvaluateSection()
    named = section.named_benchmarks()
    for index, entry in enumerate(section.benchmarks or ()):
        if index not in named and entry not in offered:
            raise _unknown_benchmark(recipe, index, str(entry), offered)


def _unknown_benchmark(recipe: Recipe, index: int, name: str, offered: Collection[str]) -> RecipeError:
    path = ("evaluate", "benchmarks", index)
    qualified = [known.qualified for known in default_registry().extensions("benchmark") if name in known.names]
    if not offered:
        hint = "Write `evaluate: {benchmarks: []}` to train without evaluating."
        if qualified:
            hint = f"Write {' or '.join(qualified)} to ask a plugin's.\n{hint}"
        return problem(recipe.tree, path, f"the data source has no benchmarks, and so no {name!r}", hint)
    hint = suggest(name, offered, what="benchmarks")
    if qualified:
        hint = f"did you mean {' or '.join(qualified)}?"
    return problem(recipe.tree, path, f"no benchmark named {name!r}", hint)


def no_validation(recipe: Recipe) -> RecipeError:
    """Returns the error about a validation without questions."""
    return problem(
        recipe.tree,
        ("evaluate", "validation"),
        "validation asks the questions of benchmarks, and there are none",
        "Write `evaluate: {validation: null}`, or name data with benchmarks.",
    )


def own_benchmarks(recipe: Recipe) -> tuple[str, ...]:
    """Returns the benchmarks of the data source that are asked, as far as the source says which it may have."""
    wanted = (recipe.evaluate or EvaluateSection()).own_benchmarks
    return offered_benchmarks(recipe) if wanted is None else tuple(wanted)


def asked_benchmarks(recipe: Recipe) -> tuple[str, ...]:
    """Returns the benchmarks that are asked in the end: those of the data source, and those of plugins."""
    named = (recipe.evaluate or EvaluateSection()).named_benchmarks().values()
    return (*own_benchmarks(recipe), *(entry.column for entry in named))


def with_data(resolved: ResolvedRecipe) -> ResolvedRecipe:
    """Returns the recipe with the defaults of data sources and benchmarks written out, as `resolve` does for parts."""
    recipe = resolved.recipe
    complete = _changed(resolved, {"data": with_defaults(recipe), "evaluate": _with_questions(recipe)})
    return replace(complete, extensions={**extension_lock(recipe), **benchmark_lock(recipe)})


def _with_questions(recipe: Recipe) -> EvaluateSection | None:
    asked, section = asked_of_plugins(recipe), recipe.evaluate
    if section is None or not asked:
        return section
    places = dict(zip(section.named_benchmarks(), asked, strict=True))
    entries = [
        places[index].plain() if index in places else entry for index, entry in enumerate(section.benchmarks or ())
    ]
    return section.model_copy(update={"benchmarks": entries})


def _changed(resolved: ResolvedRecipe, changes: Mapping[str, Any]) -> ResolvedRecipe:
    return replace(resolved, recipe=resolved.recipe.model_copy(update=dict(changes)))
