"""The embedded world as a data source: rows, images, and one benchmark per ability.

Questions keep the prompts that the training rows have, and the rules that score them are those of the benchmark whose
form they have. Presence and spatial statements are answered by the first token's probabilities, the rest in words.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from random import Random
from typing import Any

from PIL.Image import Image

from cobra_kit.data.rows import FormerNames
from cobra_kit.errors import DataError
from cobra_kit.events import Message, Progress, Reporter, silent
from cobra_kit.files import user_cache
from cobra_kit.interfaces import (
    Benchmark,
    DataSourceFactory,
    HeldOutSplit,
    Question,
    SourceSample,
    Split,
    TextForm,
    TrainingRow,
)
from cobra_kit.text.llava import parse_llava_row
from cobra_kit_scenes.benchmark_prompts import Benchmark as Form
from cobra_kit_scenes.benchmark_prompts import prompt, reply
from cobra_kit_scenes.cache import cache_key
from cobra_kit_scenes.captions import caption
from cobra_kit_scenes.damage import damage_named
from cobra_kit_scenes.dataset import SceneDataset, scenes_dataset
from cobra_kit_scenes.names import image_name
from cobra_kit_scenes.oracle import ScoreBounds, reach
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.texts import conversations, passages
from cobra_kit_scenes.vocabulary import IMAGE
from cobra_kit_scenes.write import ROWS_FILE, SCENES_FILE


@dataclass(frozen=True, slots=True)
class Ability:
    """The questions, of which files, that make a benchmark.

    Args:
        label: The benchmark whose form it has.
        rule: Name of the rule that scores it.
        forms: Per group the file; one group without a name where the rule has none.
        kinds: The kinds of question in the files that belong to it; empty for all.
        choices: Answers to rank at the first token.
    """

    label: str
    rule: str
    forms: Mapping[str, Form]
    kinds: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


ABILITIES = {
    "presence": Ability(
        "POPE",
        "pope/first-token",
        {"random": "pope_random", "popular": "pope_popular", "adversarial": "pope_adversarial"},
        choices=("Yes", "No"),
    ),
    "attribute": Ability("VQAv2", "vqav2/official", {"": "vqav2"}, kinds=("color", "shape")),
    "count": Ability("VQAv2", "vqav2/official", {"": "vqav2"}, kinds=("count",)),
    "spatial": Ability("VSR", "vsr/first-token", {"": "vsr"}, choices=("True", "False")),
    "reading": Ability("TextVQA", "textvqa/m4c", {"": "textvqa"}),
    "boxes": Ability("RefCOCO", "refcoco/cobra", {"": "refcoco"}),
}
"""The abilities by the names of their benchmarks."""


BENCHMARKS = tuple(ABILITIES)
"""What the source can be asked for, known without opening it."""


def kind_of_slice(name: str) -> str:
    """Returns the benchmark that asks what a slice such as `color/2` asks."""
    ability = name.partition("/")[0]
    return {"color": "attribute", "shape": "attribute", "box": "boxes"}.get(ability, ability)


def described_rows(params: SceneParams, form: TextForm) -> tuple[TrainingRow, ...]:
    """Returns passages or conversations, as many as there are training images, with kinds named as benchmarks are."""
    if form == "passages":
        return tuple(passages(params))
    return tuple(replace(row, kinds=tuple(map(kind_of_slice, row.kinds))) for row in conversations(params))


@dataclass(frozen=True, slots=True)
class _Item:
    question: Question
    annotation: Mapping[str, Any]
    group: str
    slice: str


class ScenesSource(FormerNames):
    """The world with some parameters, as a `DataSource`.

    Args:
        dataset: A generated world.
    """

    def __init__(self, dataset: SceneDataset) -> None:
        self.dataset = dataset
        self.benchmarks = cache(self._benchmarks)
        self._reach = cache(self._compute_reach)

    @property
    def fingerprint(self) -> str:
        """Returns a hash of parameters, generator, Pillow and FreeType versions, which decide every byte."""
        return cache_key(self.dataset.params)

    @cached_property
    def rows(self) -> Sequence[TrainingRow]:
        """The training rows.

        Raises:
            CobraError: The train split is empty.
        """
        parsed = (parse_llava_row(row) for row in self.dataset.rows)
        most = self.dataset.params.turns_per_row
        slices = self.dataset.turn_slices
        with damage_named(self.dataset.folder / "train" / ROWS_FILE, self.dataset.folder):
            return tuple(
                TrainingRow(
                    f"{row.id}/{start}" if start else row.id,
                    row.images,
                    row.turns[start : start + most],
                    tuple(kind_of_slice(name) for name in slices[row.id][start : start + most]),
                )
                for row in parsed
                for start in range(0, len(row.turns), most)
            )

    @cached_property
    def caption_rows(self) -> Sequence[TrainingRow]:
        """The training images with a sentence on each; one that shows nothing is left out."""
        seed = self.dataset.params.seed
        captioned = (
            (image_name("train", index), caption(scene, Random(f"{seed}/caption/{index}")))
            for index, scene in enumerate(self.dataset.scenes("train"))
            if scene.objects or scene.text is not None
        )
        with damage_named(self.dataset.folder / "train" / SCENES_FILE, self.dataset.folder):
            return tuple(TrainingRow(f"{name}/caption", (name,), (("", text),)) for name, text in captioned)

    def text_rows(self, form: TextForm) -> Sequence[TrainingRow]:
        """Returns passages or conversations about scenes of which there is no image, as many as training images.

        They are made anew in seconds at each call.

        Raises:
            DataError: There are no training images.
        """
        params = self.dataset.params
        if not params.train:
            raise DataError("no described scenes", where="data.train", hint="As many are described as `train` says.")
        return described_rows(params, form)

    def image(self, image_id: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: There is no such image.
        """
        return self.dataset.image(image_id)

    def image_ids(self, split: Split) -> Sequence[str]:
        """Returns the names of all images of a split, in order."""
        return tuple(image_name(split, index) for index in range(self.dataset.params.size(split)))

    def _benchmarks(self, split: HeldOutSplit) -> Mapping[str, Benchmark]:
        if not self.dataset.params.size(split):
            raise DataError(
                f"the {split} split of scenes is empty",
                where=f"data.{split}",
                hint=f"Ask for pictures, such as `--set data.{split}=600`.",
            )
        return {name: self._benchmark(split, name, ability) for name, ability in ABILITIES.items()}

    def _benchmark(self, split: HeldOutSplit, name: str, ability: Ability) -> Benchmark:
        items = [
            item
            for group, form in ability.forms.items()
            for item in self._items(split, form, group, ability.choices)
            if not ability.kinds or item.slice.split("/")[0] in ability.kinds
        ]
        bounds = self._bounds(split, ability, items)
        return Benchmark(
            name=name,
            label=f"{name} ({ability.label})",
            rule=ability.rule,
            questions=tuple(item.question for item in items),
            annotations=tuple(item.annotation for item in items),
            groups=tuple(item.group or item.slice for item in items),
            floor=None if bounds is None else bounds[0],
            ceiling=None if bounds is None else bounds[1],
            group_floors={} if bounds is None else self._group_floors(split, ability, items),
        )

    def _items(self, split: HeldOutSplit, form: Form, group: str, choices: tuple[str, ...]) -> Iterator[_Item]:
        texts = self.dataset.benchmark_texts(split, form)
        slices = self.dataset.question_slices(split)
        with damage_named(self.dataset.benchmark(split, form)["questions"], self.dataset.folder):
            for (number, image, text, annotation), part in zip(_READERS[form](texts, split), slices[form], strict=True):
                wording = prompt(form, text, self.dataset.params.prompts)
                question = Question(f"{group}/{number}" if group else str(number), image, wording, choices)
                yield _Item(question, annotation, group, part)

    def _bounds(self, split: HeldOutSplit, ability: Ability, items: Sequence[_Item]) -> tuple[float, float] | None:
        """Returns floor and ceiling, 0 to 1: the mean over groups where the rule has them, else over questions."""
        if not items or not self.dataset.params.size("train"):
            return None
        bounds = self._reach(split)
        if ability.kinds:
            parts = [bounds[f"vqav2:{name}"] for name in sorted({item.slice for item in items})]
            weights = [float(part.questions) for part in parts]
        else:
            parts = [part for form in ability.forms.values() if (part := bounds[form]).questions]
            weights = [1.0] * len(parts)
        return _mean([p.floor for p in parts], weights), _mean([p.ceiling for p in parts], weights)

    def _group_floors(self, split: HeldOutSplit, ability: Ability, items: Sequence[_Item]) -> dict[str, float]:
        """Returns the floor of each group, 0 to 1."""
        score_bounds = self._reach(split)
        form = next(iter(ability.forms.values()))
        bounds = {
            item.group or item.slice: ability.forms[item.group] if item.group else f"{form}:{item.slice}"
            for item in items
        }
        return {group: score_bounds[name].floor / 100 for group, name in bounds.items()}

    def _compute_reach(self, split: HeldOutSplit) -> dict[str, ScoreBounds]:
        return reach(self.dataset, split)


class World(DataSourceFactory):
    """The class that opens the embedded world."""

    made_here = True
    benchmark_names = BENCHMARKS

    @classmethod
    def open(cls, config: SceneParams, report: Reporter = silent) -> ScenesSource:
        """Returns the world with these parameters; it is drawn on first use and kept in the user's cache."""

        def drawn(done: int, total: int) -> None:
            report(Progress(task="scenes", done=done, total=total, unit="pictures"))

        dataset = scenes_dataset(config, progress=drawn)
        sizes = ", ".join(f"{config.size(split):,} {split}" for split in dataset.splits)
        report(Message(text=f"scenes: {sizes} pictures"))
        return ScenesSource(dataset)

    @classmethod
    def fingerprint(cls, config: SceneParams) -> str:
        """Returns the fingerprint of the world with these parameters; nothing is drawn for it."""
        return cache_key(config)

    @classmethod
    def sample(cls, config: SceneParams, sizes: Mapping[Split, int], folder: Path) -> SourceSample:
        """Returns a world of the same parameters with fewer images, and what drawing one takes."""
        wanted: dict[Split, int] = {"train": config.train, "val": config.val, "test": config.test}
        taken = {split: min(sizes[split], wanted[split]) for split in wanted}
        # Twice, the first time as small as can be: what starting the drawing costs is not paid per image.
        small = config.model_copy(update={"train": 1, "val": 0, "test": 0, "towers": 0})
        started = time.perf_counter()
        scenes_dataset(small, folder)
        between = time.perf_counter()
        world = scenes_dataset(
            config.model_copy(update={"towers": 0} | {str(split): size for split, size in taken.items()}), folder
        )
        ended = time.perf_counter()
        images = sum(taken.values())
        there = (user_cache() / "scenes" / cache_key(config)).is_dir()
        return SourceSample(
            source=ScenesSource(world),
            times={split: wanted[split] / taken[split] if taken[split] else 0.0 for split in wanted},
            label=f"{taken['train']:,} of {config.train:,} drawn pictures",
            seconds_per_image=max(0.0, (ended - between) - (between - started)) / max(1, images),
            to_make=0 if there else sum(wanted.values()),
        )


_Read = tuple[int, str, str, dict[str, Any]]
"""Number, image, text and annotation of a question."""


def _vqav2(texts: Mapping[str, str], split: HeldOutSplit) -> Iterator[_Read]:
    annotations = json.loads(texts["annotations"])["annotations"]
    for row, annotated in zip(json.loads(texts["questions"])["questions"], annotations, strict=True):
        answers = tuple(item["answer"] for item in annotated["answers"])
        yield row["question_id"], image_name(split, row["image_id"]), row["question"], {"answers": answers}


def _pope(texts: Mapping[str, str], split: HeldOutSplit) -> Iterator[_Read]:
    for row in map(json.loads, texts["questions"].splitlines()):
        yield row["question_id"], row["image"], row["text"], {"answers": (reply("pope_random", row["label"]),)}


def _vsr(texts: Mapping[str, str], split: HeldOutSplit) -> Iterator[_Read]:
    for number, row in enumerate(map(json.loads, texts["questions"].splitlines())):
        yield number, row["image"], row["caption"], {"answers": ("True" if row["label"] else "False",)}


def _textvqa(texts: Mapping[str, str], split: HeldOutSplit) -> Iterator[_Read]:
    for row in json.loads(texts["questions"])["data"]:
        yield row["question_id"], f"{row['image_id']}.png", row["question"], {"answers": tuple(row["answers"])}


def _refcoco(texts: Mapping[str, str], split: HeldOutSplit) -> Iterator[_Read]:
    for number, row in enumerate(json.loads(texts["questions"])):
        image = f"{row['img_id'].rpartition('_')[0]}.png"
        size = (row.get("width", IMAGE), row.get("height", IMAGE))
        yield number, image, row["sents"], {"box": tuple(row["bbox"]), "image_size": size}


_READERS = {
    "vqav2": _vqav2,
    "pope_random": _pope,
    "pope_popular": _pope,
    "pope_adversarial": _pope,
    "vsr": _vsr,
    "textvqa": _textvqa,
    "refcoco": _refcoco,
}


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights) / 100
