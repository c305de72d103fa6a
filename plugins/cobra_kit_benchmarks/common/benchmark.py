"""A benchmark made of its definition: opened to be asked, or read to score somebody's predictions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from cobra_kit.data.image_folder import ImageFolder
from cobra_kit.errors import DataError
from cobra_kit.events import Reporter, silent
from cobra_kit.interfaces import Benchmark, BenchmarkFactory, BenchmarkProtocol, OpenBenchmark, PublicSet, Question
from cobra_kit.interfaces.submission import OfficialFiles, ScoredFiles, Submitted
from cobra_kit_benchmarks.common.counts import check_counts, count_problem
from cobra_kit_benchmarks.common.definition import Definition
from cobra_kit_benchmarks.common.images import checked_images
from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.json_files import existing
from cobra_kit_benchmarks.common.locate import IMAGES, check_present, expected_files
from cobra_kit_benchmarks.common.protocol import Protocol
from cobra_kit_benchmarks.common.subset import choose
from cobra_kit_benchmarks.public import SETS


class OfficialBenchmark(BenchmarkFactory, OfficialFiles):
    """The base of the nine benchmarks; what is different in each stands in its definition."""

    definition: ClassVar[Definition]

    @classmethod
    def open(
        cls, config: Any, split: str | None = None, root: Path | None = None, report: Reporter = silent
    ) -> OpenBenchmark:
        """Returns the questions worded for a model, with what scores them.

        Args:
            config: The settings, a `BenchmarkSettings`.
            split: The official split; None: the protocol's.
            root: What a relative folder starts at; None: the working directory.
            report: Told about the hashing of images.

        Raises:
            DataError: A file or an image is missing, a file is of another form, or the sizes are not the split's.
            UnreadableFile: A file cannot be read or is not JSON.
        """
        definition, protocol = cls.definition, cls._protocol(config.protocol, split)
        files = expected_files(definition, protocol, config, root)
        check_present(files, definition, protocol)
        items = definition.read({role: path for role, path in files.items() if role != IMAGES})
        if config.check_counts and protocol.split in definition.counts:
            check_counts(items, definition.counts[protocol.split], str(files["annotations"]))
        items = choose(items, config.part, per_group=definition.slim_per_group)
        items = checked_images(items, files[IMAGES])
        images = ImageFolder(files[IMAGES], report)
        benchmark = _benchmark(definition, items, protocol)
        names = tuple(dict.fromkeys(item.image for item in items))
        return OpenBenchmark(
            benchmark=benchmark,
            images=images,
            protocol=_stated(definition, protocol),
            fingerprint=_fingerprint(benchmark, images.fingerprint(names)),
        )

    @classmethod
    def public_sets(cls) -> tuple[PublicSet, ...]:
        """Returns its official files, for `data prepare`."""
        return SETS.get(cls.definition.name, ())

    @classmethod
    def protocol(cls, config: Any, split: str | None = None) -> BenchmarkProtocol:
        """Returns how the benchmark is asked and scored with these settings."""
        return _stated(cls.definition, cls._protocol(config.protocol, split))

    @classmethod
    def files(cls, config: Any, split: str | None = None, root: Path | None = None) -> Mapping[str, Path]:
        """Returns the files and the folder of images that `open` will read, by role, whether they are there or not."""
        return expected_files(cls.definition, cls._protocol(config.protocol, split), config, root)

    @classmethod
    def read_files(cls, annotations: Path, questions: Path | None = None) -> ScoredFiles:
        """Returns the benchmark to score predictions against, under the default protocol.

        Raises:
            DataError: A file is missing or of another form.
            UnreadableFile: A file cannot be read or is not JSON.
        """
        files = {"annotations": existing(annotations, "the annotations")}
        if questions is not None:
            files["questions"] = existing(questions, "the questions")
        definition, protocol = cls.definition, cls.definition.default
        items = definition.read(files)
        counts = definition.counts.get(protocol.split)
        problem = count_problem(items, counts) if counts else None
        return ScoredFiles(
            split=protocol.split if problem is None else f"not {protocol.split}: {problem}",
            benchmark=_benchmark(definition, items, protocol),
            texts=[item.text for item in items],
            aliases=definition.aliases(items),
            text_rule=protocol.text_rule,
        )

    @classmethod
    def read_predictions(cls, path: Path) -> list[Submitted]:
        """Returns the answers of a file in the benchmark's result form, or another that is known by its keys.

        Raises:
            DataError: The file is missing, or an answer is none.
            UnreadableFile: It cannot be read or is not JSON.
        """
        return cls.definition.read_results(existing(path, "the predictions"))

    @classmethod
    def inspect(cls, answers: Sequence[Submitted], rule: str) -> Sequence[str]:
        """Returns what is odd about answers that a rule will read.

        Raises:
            DataError: Most of them cannot be what the rule reads.
        """
        return cls.definition.inspect(answers, rule)

    @classmethod
    def _protocol(cls, name: str, split: str | None) -> Protocol:
        definition = cls.definition
        if name not in definition.protocols:
            raise DataError(
                f"{definition.label} has no protocol {name!r}", hint=f"It has {', '.join(definition.protocols)}."
            )
        protocol = definition.protocols[name]
        if split is None or split == protocol.split:
            return protocol
        if split not in definition.splits:
            raise DataError(
                f"{definition.label} has no split {split!r}", hint=f"It has {', '.join(definition.splits)}."
            )
        return replace(protocol, split=split)


def _benchmark(definition: Definition, items: Sequence[Item], protocol: Protocol) -> Benchmark:
    groups = tuple(item.group for item in items)
    return Benchmark(
        name=definition.name,
        label=definition.label,
        rule=protocol.rule,
        questions=tuple(
            Question(item.question_id, item.image, definition.word(item, protocol.prompt), protocol.choices)
            for item in items
        ),
        annotations=tuple(item.annotation for item in items),
        groups=groups if any(groups) else (),
    )


def _stated(definition: Definition, protocol: Protocol) -> BenchmarkProtocol:
    return BenchmarkProtocol(
        split=protocol.split,
        prompt=definition.prompts[protocol.prompt],
        rule=protocol.rule,
        decoding="choices" if protocol.choices else "greedy",
        post_processing=protocol.post_processing,
        max_new_tokens=protocol.max_new_tokens,
    )


def _fingerprint(benchmark: Benchmark, images: str) -> str:
    digest = hashlib.sha256(f"{benchmark.rule}\0{images}".encode())
    groups = benchmark.groups or [""] * len(benchmark.questions)
    for question, annotation, group in zip(benchmark.questions, benchmark.annotations, groups, strict=True):
        line = [question.question_id, question.image, question.prompt, question.choices, dict(annotation), group]
        digest.update(json.dumps(line, sort_keys=True).encode())
    return digest.hexdigest()
