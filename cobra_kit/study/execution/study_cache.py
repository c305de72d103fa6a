"""The things that runs of a study share: data are opened once, features of frozen encoders computed once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cobra_kit.data.asked import asked_of_plugins, by_origin, check_files
from cobra_kit.data.features import FeatureCache
from cobra_kit.data.images import Images, LiveImages
from cobra_kit.data.rows import Benchmark, DataSource, HeldOutSplit
from cobra_kit.data.sources import open_source
from cobra_kit.errors import DataError
from cobra_kit.evaluate.validation import with_questions
from cobra_kit.events import Message, Reporter
from cobra_kit.model import VisionLanguageModel
from cobra_kit.names import name_problem
from cobra_kit.study.execution.shared_stages import shared_keys, stage_prefixes
from cobra_kit.study.folder import StudyFolder
from cobra_kit.study.plan.study_plan import RunPlan, check_own
from cobra_kit.study.reading.stored_files import SPLIT
from cobra_kit.train import STAGES

if TYPE_CHECKING:
    from cobra_kit.interfaces import OpenBenchmark


@dataclass(frozen=True, slots=True)
class AskedGroup:
    """Benchmarks whose images are of one origin, so that features are computed once for all of them.

    Args:
        source: What reads the images.
        image_ids: Names of the images.
        benchmarks: The benchmarks by name.
    """

    source: DataSource
    image_ids: Sequence[str]
    benchmarks: Mapping[str, Benchmark]


class StudyCache:
    """Data sources and images of a study.

    Args:
        folder: The study's folder.
        runs: All runs of the study, as far as they are known beforehand.
        report: Told about long work.
        device: The device that models run on.
        more_to_come: Whether a search may add runs that nobody knows yet, which may begin as one at hand does.
    """

    def __init__(
        self,
        folder: StudyFolder,
        runs: Sequence[RunPlan],
        report: Reporter,
        *,
        device: str = "cpu",
        more_to_come: bool = False,
    ) -> None:
        self.folder, self._runs, self._report = folder, runs, report
        self._more_to_come = more_to_come
        self.device = device
        self._sources: dict[str, DataSource] = {}
        self._opened: dict[str, dict[str, OpenBenchmark]] = {}

    def stage_keys(self, run: RunPlan) -> frozenset[str]:
        """Returns the keys of the stage prefixes that a run may share with others.

        While a search may add runs, that is every beginning of the training, the whole of it excepted.
        """
        if self._more_to_come:
            return frozenset(prefix.key for prefix in stage_prefixes(run, self.source(run).fingerprint)[:-1])
        return self._known_keys

    @cached_property
    def _known_keys(self) -> frozenset[str]:
        """Those that several runs have. Where every run has one stage, and one of its own, no data are opened."""
        if all(len(run.train.stages()) == 1 for run in self._runs) and not _train_alike(self._runs):
            return frozenset()
        return shared_keys(self._runs, {run.name: self.source(run).fingerprint for run in self._runs})

    def source(self, run: RunPlan) -> DataSource:
        """Returns a run's data, made on first use."""
        recipe = run.resolved.recipe
        assert recipe.data is not None
        sections = [section.model_dump(mode="json") for section in recipe.sources]
        # Of several sources the seed says which rows are drawn.
        key = json.dumps([sections, recipe.seed if isinstance(recipe.data, list) else None], sort_keys=True)
        if key not in self._sources:
            self._sources[key] = open_source(recipe, self._report)
        return self._sources[key]

    def benchmarks(self, run: RunPlan, split: HeldOutSplit) -> dict[str, Benchmark]:
        """Returns the benchmarks that the recipe asks for, in its order; none where it asks for none or data have none.

        Those of plugins have their own splits: they stand beside the test split, and are asked in the end only.

        Raises:
            RecipeError: It names one that the data do not have.
            DataError: The split is empty, or files of a benchmark are missing or broken.
        """
        named = self.opened(run) if split == SPLIT else {}
        own = self._own(run, split)
        every = {**own, **{name: opened.benchmark for name, opened in named.items()}}
        order = run.evaluate.columns()
        return {name: every[name] for name in dict.fromkeys([*order, *every]) if name in every}

    def opened(self, run: RunPlan) -> dict[str, OpenBenchmark]:
        """Returns the benchmarks of plugins that the recipe asks for, opened on first use.

        Raises:
            DataError: Files of some are missing, all of them named; or they are broken.
        """
        asked = asked_of_plugins(run.resolved.recipe)
        key = json.dumps([[item.extension.qualified, item.plain().model_dump(mode="json")] for item in asked])
        if key not in self._opened:
            check_files(asked)
            self._opened[key] = {item.name: item.open(self._report) for item in asked}
        return self._opened[key]

    def _own(self, run: RunPlan, split: HeldOutSplit) -> dict[str, Benchmark]:
        offered = self.source(run).benchmarks(split)
        wanted = run.evaluate.own_benchmarks
        check_own(run.resolved.recipe, offered)
        if not offered or wanted == []:
            return {}
        for name in offered:
            if (wrong := name_problem(name)) is not None:
                raise DataError(
                    f"a benchmark's name names a file, and {name[:60]!r} {wrong}",
                    where=_data_label(run),
                    hint="Whoever made the data source must rename the benchmark.",
                )
        chosen = {name: offered[name] for name in wanted or offered}
        empty = [name for name, benchmark in chosen.items() if not benchmark.questions]
        if len(empty) == len(chosen) or (wanted and empty):
            raise DataError(
                f"no questions in the {split} split{': ' + ', '.join(empty) if empty else ''}",
                where=_data_label(run),
                hint="Name benchmarks that have some in evaluate.benchmarks, or use more pictures.",
            )
        return {name: benchmark for name, benchmark in chosen.items() if benchmark.questions}

    def images(self, run: RunPlan, model: VisionLanguageModel, split: HeldOutSplit, report: Reporter) -> Images:
        """Returns a split's images for a model: features where its encoder stays frozen, else as they are."""
        source = self.source(run)
        return self._images_of(run, model, source, source.image_ids(split), report)

    def groups(self, run: RunPlan, split: HeldOutSplit) -> list[AskedGroup]:
        """Returns the benchmarks that are asked, those whose images are of one origin together.

        Raises:
            CobraError: As for `benchmarks`.
        """
        every = self.benchmarks(run, split)
        opened = self.opened(run) if split == SPLIT else {}
        source = self.source(run)
        own = {name: benchmark for name, benchmark in every.items() if name not in opened}
        groups = [AskedGroup(source, source.image_ids(split), own)] if own else []
        for images, members in by_origin(opened):
            benchmarks = {name: every[name] for name in members}
            groups.append(AskedGroup(images, images.image_ids(split), benchmarks))
        return groups

    def group_images(self, run: RunPlan, model: VisionLanguageModel, group: AskedGroup, report: Reporter) -> Images:
        """Returns the images of a group for a model, as `images` does."""
        return self._images_of(run, model, group.source, group.image_ids, report)

    def _images_of(
        self, run: RunPlan, model: VisionLanguageModel, source: DataSource, names: Sequence[str], report: Reporter
    ) -> Images:
        self.folder.features.mkdir(parents=True, exist_ok=True)
        if all(STAGES[stage].frozen_encoder for stage in run.train.stages()):
            return FeatureCache.of(model, source, names, self.folder.features, report=report)
        return LiveImages(model, source, names, self.folder.features, report)


def readable(benchmarks: Mapping[str, Benchmark], images: Images, report: Reporter) -> dict[str, Benchmark]:
    """Returns the benchmarks without questions about unreadable images, the same ones in every arm."""
    kept = {
        name: [i for i, question in enumerate(benchmark.questions) if question.image not in images.unreadable]
        for name, benchmark in benchmarks.items()
    }
    lost = sum(len(benchmark.questions) - len(kept[name]) for name, benchmark in benchmarks.items())
    if not lost:
        return dict(benchmarks)
    report(Message(text=f"{lost} questions are left out: their pictures cannot be read", level="warning"))
    return {name: with_questions(benchmark, kept[name]) for name, benchmark in benchmarks.items() if kept[name]}


def _train_alike(runs: Sequence[RunPlan]) -> bool:
    """Returns whether two runs may differ in nothing but how they are evaluated; without opening their data."""
    return len({(run.trained, run.seed) for run in runs}) < len(runs)


def _data_label(run: RunPlan) -> str:
    return f"data {', '.join(section.source for section in run.resolved.recipe.sources)}"
