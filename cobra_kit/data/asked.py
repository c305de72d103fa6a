"""The benchmarks of plugins that a recipe names: found and checked without opening any, then opened together."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from cobra_kit._plugins import Extension, attributed, default_registry
from cobra_kit.errors import DataError, PluginError, RecipeError
from cobra_kit.events import Reporter, silent
from cobra_kit.files import expanded
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.check import validate
from cobra_kit.recipe.problems import problem, raise_problems
from cobra_kit.recipe.sections import EvaluateSection, NamedBenchmark
from cobra_kit.recipe.tree import Node

if TYPE_CHECKING:
    from PIL.Image import Image

    from cobra_kit.interfaces import (
        Benchmark,
        BenchmarkProtocol,
        HeldOutSplit,
        ImageReader,
        OpenBenchmark,
        Split,
        TextForm,
        TrainingRow,
    )

_OWN_KEYS = ("use", "name", "root", "split", "max_new_tokens")


@dataclass(frozen=True, slots=True)
class AskedBenchmark:
    """A benchmark of a plugin, as a recipe asks for it; nothing is opened.

    Args:
        entry: What the recipe says.
        extension: The benchmark that it names.
        settings: Its checked settings.
        max_new_tokens: Most tokens of an answer where neither entry nor protocol says how many.
    """

    entry: NamedBenchmark
    extension: Extension
    settings: BaseModel
    max_new_tokens: int

    @property
    def name(self) -> str:
        """Returns the name of its column and its files."""
        return self.entry.column

    def protocol(self) -> BenchmarkProtocol:
        """Returns how it is asked and scored.

        Raises:
            CobraError: There is no such split or protocol.
        """
        factory = self.extension.load_benchmark()
        with attributed((self.extension,)):
            stated = factory.protocol(self.settings, self.entry.split)
        return self._in_effect(stated)

    def files(self) -> Mapping[str, Path]:
        """Returns the files and folders that it will read, by what they hold.

        Raises:
            CobraError: There is no such split or protocol.
        """
        factory = self.extension.load_benchmark()
        with attributed((self.extension,)):
            return factory.files(self.settings, self.entry.split, self._root)

    def missing_files(self) -> dict[str, Path]:
        """Returns those that are not there."""
        return {role: path for role, path in self.files().items() if not path.exists()}

    def prepare_commands(self) -> tuple[str, ...]:
        """Returns the commands that bring its official files to where it is looked for; none where it has no set."""
        factory = self.extension.load_benchmark()
        with attributed((self.extension,)):
            names = [item.name for item in factory.public_sets()]
        # A set lies in a folder of its name below the root that the command is given.
        root = Path(self.entry.root or "")
        below = {name: root.parent if root.name == name else root for name in names}
        return tuple(
            f"cobra-kit data prepare {name} --root {shlex.quote(str(folder))}" for name, folder in below.items()
        )

    def open(self, report: Reporter = silent) -> OpenBenchmark:
        """Returns it with its questions, named as the recipe names it.

        Raises:
            DataError: Files are missing or broken.
        """
        factory = self.extension.load_benchmark()
        with attributed((self.extension,)):
            opened = factory.open(self.settings, self.entry.split, self._root, report)
        benchmark = replace(opened.benchmark, name=self.name)
        return replace(opened, benchmark=benchmark, protocol=self._in_effect(opened.protocol))

    def plain(self) -> NamedBenchmark:
        """Returns the entry of a resolved recipe: the name qualified, nothing left to defaults."""
        given = self.entry.model_dump(include=set(_OWN_KEYS), exclude_none=True)
        settings = self.settings.model_dump(mode="json", exclude_none=True)
        return NamedBenchmark(**{**given, "use": self.extension.qualified, **settings})

    @property
    def _root(self) -> Path | None:
        return expanded(Path(self.entry.root)) if self.entry.root is not None else None

    def _in_effect(self, stated: BenchmarkProtocol) -> BenchmarkProtocol:
        if stated.decoding == "choices":
            return replace(stated, max_new_tokens=None)
        tokens = self.entry.max_new_tokens or stated.max_new_tokens or self.max_new_tokens
        return replace(stated, max_new_tokens=tokens)


def asked_of_plugins(recipe: Recipe) -> tuple[AskedBenchmark, ...]:
    """Returns the benchmarks of plugins that a recipe names, in its order; opens nothing.

    Raises:
        RecipeError: A name is unknown, a setting is wrong, or two columns have one name; all of them together.
        PluginError: A benchmark cannot be imported.
    """
    section = recipe.evaluate or EvaluateSection()
    asked: list[AskedBenchmark] = []
    problems: list[RecipeError] = []
    for index, entry in section.named_benchmarks().items():
        try:
            extension = default_registry().benchmark(entry.use)
        except PluginError as error:
            problems.append(problem(recipe.tree, _path(recipe, index, "use"), error.message, error.hint))
            continue
        settings, wrong = _settings(recipe, index, extension.load_config())
        problems += wrong
        if settings is None:
            continue
        benchmark = AskedBenchmark(entry, extension, settings, section.max_new_tokens)
        try:
            benchmark.protocol()
        except DataError as error:
            problems.append(problem(recipe.tree, _path(recipe, index), error.message, error.hint))
            continue
        asked.append(benchmark)
    raise_problems(f"the recipe {recipe.name!r}", [*problems, *_clashes(recipe)])
    return tuple(asked)


def benchmark_lock(recipe: Recipe) -> dict[str, str]:
    """Returns per benchmark of a plugin that a recipe names the distribution it came from."""
    return {asked.extension.qualified: asked.extension.distribution for asked in asked_of_plugins(recipe)}


def check_files(asked: Sequence[AskedBenchmark]) -> None:
    """Raises if files of benchmarks are not there; all that are missing are named together, before any is read.

    Raises:
        DataError: Something is missing.
    """
    missing = {benchmark.name: files for benchmark in asked if (files := benchmark.missing_files())}
    if missing:
        names = list(missing)
        lines = [f"{name}: {role}: {path}" for name, files in missing.items() for role, path in files.items()]
        commands = [line for benchmark in asked if benchmark.name in missing for line in benchmark.prepare_commands()]
        lines += [f"{command} brings them, or says what to put where." for command in dict.fromkeys(commands)]
        raise DataError(
            f"files of {len(names)} benchmark{'s' if len(names) > 1 else ''} are not there: {', '.join(names)}",
            where="evaluate.benchmarks",
            hint="\n".join([*lines, "Put them there, name their places in evaluate.benchmarks, or leave them out."]),
        )


class BenchmarkImages:
    """The images of benchmarks of one origin, as features are computed of: a data source without rows.

    Args:
        fingerprint: The hash of the origin.
        images: What reads them.
        image_ids: Names of the images.
    """

    rows: Sequence[TrainingRow] = ()
    caption_rows: Sequence[TrainingRow] = ()

    def __init__(self, fingerprint: str, images: ImageReader, image_ids: Sequence[str]) -> None:
        self.fingerprint, self._images, self._image_ids = fingerprint, images, tuple(image_ids)

    def text_rows(self, form: TextForm) -> Sequence[TrainingRow]:
        """Returns no rows."""
        return ()

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB."""
        return self._images.image(image_id)

    def image_ids(self, split: Split) -> Sequence[str]:
        """Returns the names of the images."""
        return self._image_ids

    def benchmarks(self, split: HeldOutSplit) -> Mapping[str, Benchmark]:
        """Returns no benchmarks: they have been opened."""
        return {}


def by_origin(opened: Mapping[str, OpenBenchmark]) -> list[tuple[BenchmarkImages, dict[str, OpenBenchmark]]]:
    """Returns opened benchmarks with their images; those of one fingerprint share them."""
    groups: dict[str, dict[str, OpenBenchmark]] = {}
    for name, benchmark in opened.items():
        groups.setdefault(benchmark.fingerprint, {})[name] = benchmark
    return [
        (
            BenchmarkImages(
                fingerprint,
                next(iter(members.values())).images,
                tuple(dict.fromkeys(q.image for member in members.values() for q in member.benchmark.questions)),
            ),
            members,
        )
        for fingerprint, members in groups.items()
    ]


def _settings(recipe: Recipe, index: int, config: type[BaseModel]) -> tuple[BaseModel | None, list[RecipeError]]:
    path = _path(recipe, index)
    node = recipe.tree.get(*path)
    if node is not None and not isinstance(node.value, dict):  # the name alone
        bare = Node({}, node.origin)
        settings, problems = validate(config, bare, ())
        return settings, [problem(recipe.tree, path, f"{p.where or ''}: {p.message}", p.hint) for p in problems]
    return validate(config, recipe.tree, path, without=_OWN_KEYS)


def _path(recipe: Recipe, index: int, *keys: str) -> tuple[Any, ...]:
    return ("evaluate", "benchmarks", index, *keys)


def _clashes(recipe: Recipe) -> list[RecipeError]:
    """Returns an error per entry whose column has the name of an earlier one."""
    seen: dict[str, int] = {}
    problems: list[RecipeError] = []
    for index, entry in enumerate((recipe.evaluate or EvaluateSection()).benchmarks or ()):
        name = entry.column if isinstance(entry, NamedBenchmark) else entry.rpartition("/")[2]
        if name in seen and (isinstance(entry, NamedBenchmark) or "/" in entry):
            hint = f"Give it a name of its own, such as `name: {name}-2`."
            problems.append(problem(recipe.tree, _path(recipe, index), f"two benchmarks are called {name!r}", hint))
        seen.setdefault(name, index)
    return problems
