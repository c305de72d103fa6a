"""VizWiz as the paper asks it, and its files: `val`, 4,319 questions, an image each."""

from __future__ import annotations

from cobra_kit_benchmarks.common.counts import Counts
from cobra_kit_benchmarks.common.definition import Definition, SplitFiles
from cobra_kit_benchmarks.common.protocol import Protocol, by_name
from cobra_kit_benchmarks.vizwiz import prompt, reader, results
from cobra_kit_benchmarks.vizwiz.results import by_number

_RAW = "none but the rule's"

DEFINITION = Definition(
    name="vizwiz",
    label="VizWiz",
    protocols=by_name(
        Protocol(split="val", rule="vizwiz/cobra", post_processing=_RAW),
        Protocol(name="official", split="val", rule="vizwiz/official", post_processing=_RAW),
        Protocol(name="short", split="val", prompt="short", rule="vizwiz/official", post_processing=_RAW),
    ),
    splits={
        "val": SplitFiles(
            annotations=("val.json", "Annotations/val.json", "vizwiz.json"),
            images=("val", "val_images", "images", "../images"),
        )
    },
    counts={"val": Counts((4_319,), 4_319)},
    read=reader.read,
    prompts=prompt.PROMPTS,
    read_results=results.read,
    aliases=by_number,
)
