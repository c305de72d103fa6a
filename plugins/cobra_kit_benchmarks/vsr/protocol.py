"""VSR as the paper asks it, and its files: the zero-shot test split, 1,222 statements about 715 images."""

from __future__ import annotations

from cobra_kit_benchmarks.common.counts import Counts
from cobra_kit_benchmarks.common.definition import Definition, SplitFiles
from cobra_kit_benchmarks.common.protocol import Protocol, by_name
from cobra_kit_benchmarks.vsr import prompt, reader, results
from cobra_kit_benchmarks.vsr.results import CHOICES

_IMAGES = ("images", "vsr_images", "../images")

DEFINITION = Definition(
    name="vsr",
    label="VSR",
    protocols=by_name(
        Protocol(
            split="test",
            rule="vsr/first-token",
            choices=CHOICES,
            post_processing="none: probabilities of the first token",
            text_rule="vsr/text",
        ),
        Protocol(name="text", split="test", rule="vsr/text", post_processing="case and a final period"),
        Protocol(
            name="dev",
            split="dev",
            rule="vsr/first-token",
            choices=CHOICES,
            post_processing="none: probabilities of the first token",
            text_rule="vsr/text",
        ),
    ),
    splits={
        split: SplitFiles(annotations=(f"{split}.jsonl", f"vsr_zeroshot/{split}.jsonl", *extra), images=_IMAGES)
        for split, extra in (("test", ("vsr.jsonl",)), ("dev", ()))
    },
    counts={"test": Counts((1_222,), 715), "dev": Counts((340,), 227)},
    read=reader.read,
    prompts=prompt.PROMPTS,
    read_results=results.read,
    aliases=results.aliases,
)
