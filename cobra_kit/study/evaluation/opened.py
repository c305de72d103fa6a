"""The benchmarks that a run is asked, by their names among those of plugins, opened with settings and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from cobra_kit._plugins import Extension, attributed, default_registry
from cobra_kit.data.sources import named_sources
from cobra_kit.errors import CobraError, DataError
from cobra_kit.evaluate.protocol import AskedProtocol, asked_protocol, limited_places
from cobra_kit.evaluate.validation import with_questions
from cobra_kit.events import Reporter
from cobra_kit.files import expanded
from cobra_kit.formatting import suggest
from cobra_kit.recipe import Recipe
from cobra_kit.recipe.sections import NamedBenchmark
from cobra_kit.study.evaluation.asked_run import AskedRun

if TYPE_CHECKING:
    from cobra_kit.interfaces import Benchmark, ImageReader

FOLDER = "folder"
"""The setting of benchmarks that are files: where these are. Unless it is set, `ROOT/NAME`, or `ROOT` itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBenchmark:
    """A benchmark whose questions have been chosen.

    Args:
        name: Its qualified name.
        benchmark: The questions to ask.
        images: Where their images come from.
        protocol: How they are asked.
        extension: The plugin's declaration, for errors of its code.
    """

    name: str
    benchmark: Benchmark
    images: ImageReader
    protocol: AskedProtocol
    extension: Extension

    @property
    def fingerprint(self) -> str:
        """Returns the hash of questions and images, as a data source has one."""
        return self.protocol.data

    def image(self, image_id: str) -> Any:
        """Returns an image as RGB; with it, this is as much of a data source as features are made of."""
        return self.images.image(image_id)

    def image_ids(self) -> tuple[str, ...]:
        """Returns the names of the images that the questions are about, each once."""
        return tuple(dict.fromkeys(question.image for question in self.benchmark.questions))


def open_benchmarks(
    run: AskedRun,
    entries: Sequence[str | NamedBenchmark],
    *,
    limit: int | None,
    split: str | None,
    root: Path | None,
    changes: Mapping[str, Any],
    report: Reporter,
) -> list[OpenedBenchmark]:
    """Returns benchmarks by their entries; all names and settings are checked before the first file is read.

    Args:
        run: Whose recipe says how many tokens an answer has, and perhaps which world was trained on.
        entries: Names of benchmarks of plugins, or a recipe's entries.
        limit: Most questions of each; None: all.
        split: The split; None: the entry's, or each protocol's.
        root: Where relative folders start; None: the entry's.
        changes: Settings for every benchmark.
        report: Told about long work.

    Raises:
        CobraError: A name, a setting, a split or a limit is wrong; files are missing or broken.
    """
    limited_places(1, limit)
    wanted = [_wanted(run, entry, split=split, root=root, changes=changes) for entry in entries]
    for each in wanted:
        with attributed((each.extension,)):  # a split that there is not, before another benchmark is drawn or read
            each.extension.load_benchmark().protocol(each.config, each.split)
    return [_open(run, each, limit, report) for each in wanted]


@dataclass(frozen=True, slots=True)
class _Wanted:
    extension: Extension
    config: BaseModel | None
    split: str | None
    root: Path | None
    max_new_tokens: int | None


def _wanted(
    run: AskedRun,
    entry: str | NamedBenchmark,
    *,
    split: str | None,
    root: Path | None,
    changes: Mapping[str, Any],
) -> _Wanted:
    named = NamedBenchmark(use=entry) if isinstance(entry, str) else entry
    extension = default_registry().benchmark(named.use)
    if root is None and named.root is not None:
        root = expanded(Path(named.root))
    config = benchmark_settings(extension, run.recipe, root, {**named.settings(), **changes})
    return _Wanted(extension, config, split or named.split, root, named.max_new_tokens)


def _open(run: AskedRun, wanted: _Wanted, limit: int | None, report: Reporter) -> OpenedBenchmark:
    extension, split = wanted.extension, wanted.split
    factory = extension.load_benchmark()
    with attributed((extension,)):
        opened = factory.open(wanted.config, split, wanted.root, report)
    every, stated = opened.benchmark, opened.protocol
    if not every.questions:
        raise DataError("has no questions in this split", where=extension.qualified, hint="Name another --split.")
    if split is not None and stated.split != split:
        raise DataError(f"was asked for the split {split!r} and opened {stated.split!r}", where=extension.qualified)
    chosen = with_questions(every, limited_places(len(every.questions), limit))
    if len(chosen.questions) < len(every.questions):
        # What answers without the image reach is known of all questions, and not of these.
        chosen = replace(chosen, floor=None, ceiling=None, group_floors={})
    _check_names_images(extension.qualified, chosen)
    if wanted.max_new_tokens is not None:
        stated = replace(stated, max_new_tokens=wanted.max_new_tokens)
    protocol = asked_protocol(
        stated,
        chosen,
        available=len(every.questions),
        max_new_tokens=run.evaluate.max_new_tokens,
        data=opened.fingerprint,
    )
    return OpenedBenchmark(
        name=extension.qualified, benchmark=chosen, images=opened.images, protocol=protocol, extension=extension
    )


def _check_names_images(name: str, benchmark: Benchmark) -> None:
    without = [question for question in benchmark.questions if not question.image]
    if without:
        raise DataError(
            f"{len(without):,} of {len(benchmark.questions):,} questions name no picture, "
            f"the first is {without[0].question_id!r}",
            where=name,
            hint="Whoever made the benchmark must give every Question its `image`.",
        )


def benchmark_settings(
    extension: Extension, recipe: Recipe, root: Path | None, changes: Mapping[str, Any]
) -> BaseModel | None:
    """Returns a benchmark's checked settings.

    A benchmark of the plugin whose data the model was trained on, with the same settings as those data, takes theirs:
    a drawn world is asked about itself. Changes come last.

    Raises:
        CobraError: A setting is unknown, missing or wrong.
    """
    if extension.config_reference is None:
        if changes:
            raise CobraError(f"{extension.title} has no settings", where="--set", hint="Leave --set out.")
        return None
    config = extension.load_config()
    values = {**_of_training(extension, recipe, config), **changes}
    folder = config.model_fields.get(FOLDER)
    if folder is not None and folder.is_required() and FOLDER not in values:
        own = (root or Path()) / extension.spec.name
        values[FOLDER] = extension.spec.name if own.is_dir() else "."
    try:
        return config.model_validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        unknown = first["type"] == "extra_forbidden"
        reason = "is no setting of it" if unknown else first["msg"][:1].lower() + first["msg"][1:]
        raise CobraError(
            f"{extension.title}: {key}: {reason}",
            where="--set",
            hint=suggest(key, config.model_fields, what="Its settings")
            if unknown
            else f"Give --set {key}=VALUE; `cobra-kit plugins show {extension.qualified}` describes it.",
        ) from error


def _of_training(extension: Extension, recipe: Recipe, config: type[BaseModel]) -> dict[str, Any]:
    # Without its data source, a model can still be asked: only whose world it is, nobody knows then.
    with suppress(CobraError):
        for source in named_sources(recipe) if recipe.data is not None else ():
            if source.extension.plugin == extension.plugin:
                settings = source.settings(recipe)
                if type(settings) is config:
                    return settings.model_dump(mode="json")
    return {}
