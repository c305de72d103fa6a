"""POPE as the paper asks it, and its files: 3,000 questions in each of three splits; older releases of the random
split have 2,910. The number is the mean of the splits' accuracies, not F1."""

from __future__ import annotations

from cobra_kit_benchmarks.common.counts import Counts
from cobra_kit_benchmarks.common.definition import Definition, SplitFiles
from cobra_kit_benchmarks.common.protocol import Protocol, by_name
from cobra_kit_benchmarks.pope import prompt, reader, results
from cobra_kit_benchmarks.pope.results import CHOICES

_SPLIT = "coco"
_GROUPS = {"adversarial": (3_000,), "popular": (3_000,), "random": (3_000, 2_910)}

DEFINITION = Definition(
    name="pope",
    label="POPE",
    protocols=by_name(
        Protocol(
            split=_SPLIT,
            rule="pope/first-token",
            choices=CHOICES,
            post_processing="none: probabilities of the first token",
            text_rule="pope/text",
        ),
        Protocol(name="text", split=_SPLIT, rule="pope/text", post_processing="the first sentence alone"),
        Protocol(name="exact", split=_SPLIT, rule="pope/exact", post_processing="lower case, blanks removed"),
    ),
    splits={
        _SPLIT: SplitFiles(
            annotations=("coco", "output/coco", "."),
            images=("val2014", "val_images", "images", "../images"),
        )
    },
    counts={_SPLIT: Counts((9_000, 8_910), 500, _GROUPS)},
    read=reader.read,
    prompts=prompt.PROMPTS,
    read_results=results.read,
    aliases=results.aliases,
    slim_per_group=True,
)
