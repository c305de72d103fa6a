"""A benchmark made of its definition: opened to be asked, or read to score somebody's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cobra_kit.data.rows import Benchmark, Question
from cobra_kit.errors import DataError
from cobra_kit.evaluate.submitted import ScoredFiles, Submitted
from cobra_kit.files import expanded

from cobra_kit_benchmarks.common.counts import check_counts, count_problem
from cobra_kit_benchmarks.common.definition import Definition, Files, SplitFiles
from cobra_kit_benchmarks.common.images import checked_images
from cobra_kit_benchmarks.common.items import Item
from cobra_kit_benchmarks.common.json_files import existing
from cobra_kit_benchmarks.common.protocol import Protocol
from cobra_kit_benchmarks.common.settings import BenchmarkSettings
from cobra_kit_benchmarks.common.subset import choose


class OfficialBenchmark:
    """One of the nine benchmarks.

    Args:
        definition: Its files, sizes, wording and protocols.
    """

    def __init__(self, definition: Definition) -> None:
        self.definition = definition

    def protocol(self, name: str) -> Protocol:
        """Returns a protocol.

        Raises:
            DataError: There is none of that name.
        """
        if name not in self.definition.protocols:
            raise DataError(
                f"{self.definition.name} has no protocol {name!r}",
                hint=f"Its protocols are {', '.join(self.definition.protocols)}.",
            )
        return self.definition.protocols[name]

    def open(self, settings: BenchmarkSettings) -> Benchmark:
        """Returns the questions worded for a model, with what scores them.

        Raises:
            DataError: A file or an image is missing, a file is of another form, or the sizes are not the split's.
            UnreadableFile: A file cannot be read or is not JSON.
        """
        protocol = self.protocol(settings.protocol)
        items = self.definition.read(self.files(settings))
        if settings.check_counts and protocol.split in self.definition.counts:
            check_counts(items, self.definition.counts[protocol.split], str(settings.root))
        items = choose(items, settings.subset, per_group=self.definition.slim_per_group)
        items = checked_images(items, self.image_folder(settings))
        return self._benchmark(items, protocol)

    def files(self, settings: BenchmarkSettings) -> Files:
        """Returns the files that `open` reads, by role.

        Raises:
            DataError: One is missing; the message lists where it was looked for.
        """
        protocol = self.protocol(settings.protocol)
        split, root = self._split(protocol), expanded(settings.root)
        existing(root, f"the folder of {self.definition.label}")
        given = {"annotations": settings.annotations, "questions": settings.questions, "ocr": settings.ocr}
        wanted = {"annotations": split.annotations, **self._others(protocol, split)}
        return {role: _located(root, given.get(role), names, role, self.definition) for role, names in wanted.items()}

    def image_folder(self, settings: BenchmarkSettings) -> Path:
        """Returns the folder of images.

        Raises:
            DataError: There is none.
        """
        split = self._split(self.protocol(settings.protocol))
        return _located(expanded(settings.root), settings.images, split.images, "images", self.definition)

    def read_files(self, annotations: Path, questions: Path | None) -> ScoredFiles:
        """Returns the benchmark to score predictions against; images are not looked for.

        Raises:
            DataError: A file is missing or of another form.
            UnreadableFile: A file cannot be read or is not JSON.
        """
        files = {"annotations": existing(annotations, "the annotations")}
        if questions is not None:
            files["questions"] = existing(questions, "the questions")
        items = self.definition.read(files)
        protocol = self.definition.default
        counts = self.definition.counts.get(protocol.split)
        problem = count_problem(items, counts) if counts else None
        return ScoredFiles(
            benchmark=self._benchmark(items, protocol),
            texts=[item.text for item in items],
            aliases=self.definition.aliases(items),
            text_rule=protocol.text_rule,
            notes=[f"not the paper's split: {problem}"] if problem else [],
        )

    def read_predictions(self, path: Path) -> list[Submitted]:
        """Returns the answers of a file in the benchmark's result form, or another that is known by its keys.

        Raises:
            DataError: The file is missing, or an answer is none.
            UnreadableFile: It cannot be read or is not JSON.
        """
        return self.definition.read_results(existing(path, "the predictions"))

    def inspect(self, answers: Sequence[Submitted], rule: str) -> Sequence[str]:
        """Returns what is odd about answers that a rule will read.

        Raises:
            DataError: Most of them cannot be what the rule reads.
        """
        return self.definition.inspect(answers, rule)

    def _split(self, protocol: Protocol) -> SplitFiles:
        return self.definition.splits[protocol.split]

    def _others(self, protocol: Protocol, split: SplitFiles) -> dict[str, tuple[str, ...]]:
        without_ocr = protocol.prompt not in self.definition.prompts_with_ocr
        return {role: names for role, names in split.others.items() if not (role == "ocr" and without_ocr)}

    def _benchmark(self, items: Sequence[Item], protocol: Protocol) -> Benchmark:
        groups = tuple(item.group for item in items)
        return Benchmark(
            name=self.definition.name,
            label=self.definition.label,
            rule=protocol.rule,
            questions=tuple(
                Question(item.question_id, item.image, self.definition.word(item, protocol.prompt), protocol.choices)
                for item in items
            ),
            annotations=tuple(item.annotation for item in items),
            groups=groups if any(groups) else (),
        )


def _located(root: Path, given: Path | None, names: Sequence[str], role: str, definition: Definition) -> Path:
    if given is not None:
        return existing(root / expanded(given), f"{role} of {definition.label}")
    for name in names:
        if (root / name).exists():
            return root / name
    raise DataError(
        f"no {role} of {definition.label}",
        where=str(root),
        hint=f"Looked for {', '.join(names)}. Put it there, or name it by `{role}`.",
    )
