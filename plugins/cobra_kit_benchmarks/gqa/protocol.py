"""GQA as the paper asks it, and its files: `testdev_balanced`, 12,578 questions about 398 images."""

from __future__ import annotations

from cobra_kit_benchmarks.common.counts import Counts
from cobra_kit_benchmarks.common.definition import Definition, SplitFiles, by_place
from cobra_kit_benchmarks.common.protocol import Protocol, by_name
from cobra_kit_benchmarks.gqa import prompt, reader, results

_SPLIT = "testdev_balanced"

DEFINITION = Definition(
    name="gqa",
    label="GQA",
    protocols=by_name(
        Protocol(split=_SPLIT, rule="gqa/cobra", post_processing="lower case, all punctuation removed"),
        Protocol(name="llava", split=_SPLIT, rule="gqa/official", post_processing="lower case, final periods removed"),
        Protocol(name="plain", split=_SPLIT, prompt="plain", rule="gqa/exact", post_processing="none"),
    ),
    splits={
        _SPLIT: SplitFiles(
            annotations=("testdev_balanced_questions.json", "questions/testdev_balanced_questions.json", "gqa.json"),
            images=("images", "../images"),
        )
    },
    counts={_SPLIT: Counts((12_578,), 398)},
    read=reader.read,
    prompts=prompt.PROMPTS,
    read_results=results.read,
    aliases=by_place,
)
