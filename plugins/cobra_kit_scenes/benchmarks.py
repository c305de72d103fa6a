"""The six abilities as benchmarks by themselves, to be asked of models that were trained on anything."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, cast, get_args

from cobra_kit.errors import DataError
from cobra_kit.events import Reporter, silent
from cobra_kit.interfaces import BenchmarkFactory, BenchmarkProtocol, HeldOutSplit, OpenBenchmark
from cobra_kit_scenes.benchmark_prompts import prompt
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.source import ABILITIES, World

_DEFAULT_SPLIT: HeldOutSplit = "test"


class _AbilityBenchmark(BenchmarkFactory):
    ability: ClassVar[str]

    @classmethod
    def open(
        cls,
        config: SceneParams,
        split: str | None = None,
        root: Path | None = None,
        report: Reporter = silent,
    ) -> OpenBenchmark:
        """Returns the questions of a world; it is drawn on first use and kept in the user's cache."""
        source, named = World.open(config, report), _checked(split)
        benchmark = source.benchmarks(named)[cls.ability]
        return OpenBenchmark(benchmark, source, cls.protocol(config, named), source.fingerprint)

    @classmethod
    def protocol(cls, config: SceneParams, split: str | None = None) -> BenchmarkProtocol:
        """Returns how the ability is asked and scored."""
        ability = ABILITIES[cls.ability]
        form = next(iter(ability.forms.values()))
        return BenchmarkProtocol(
            split=_checked(split),
            prompt=prompt(form, "{question}", config.prompts),
            rule=ability.rule,
            decoding="choices" if ability.choices else "greedy",
        )


def _checked(split: str | None) -> HeldOutSplit:
    if split is not None and split not in get_args(HeldOutSplit):
        raise DataError(
            f"no split {split!r}", where="scenes", hint=f"There are {' and '.join(get_args(HeldOutSplit))}."
        )
    return cast("HeldOutSplit", split or _DEFAULT_SPLIT)


class Presence(_AbilityBenchmark):
    """Yes-or-no questions about what is there, in POPE's form."""

    ability = "presence"


class Attribute(_AbilityBenchmark):
    """The colour or the shape of something, in VQAv2's form."""

    ability = "attribute"


class Count(_AbilityBenchmark):
    """The number of things, in VQAv2's form."""

    ability = "count"


class Spatial(_AbilityBenchmark):
    """Statements about places, in VSR's form."""

    ability = "spatial"


class Reading(_AbilityBenchmark):
    """Words and letters, in TextVQA's form."""

    ability = "reading"


class Boxes(_AbilityBenchmark):
    """The place of something as a box, in RefCOCO's form."""

    ability = "boxes"
