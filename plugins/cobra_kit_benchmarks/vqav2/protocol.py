"""VQAv2 as the paper asks it, and its files: `val`, 214,354 questions about 40,504 images of COCO val2014."""

from __future__ import annotations

from cobra_kit_benchmarks.common.counts import Counts
from cobra_kit_benchmarks.common.definition import Definition, SplitFiles, by_place
from cobra_kit_benchmarks.common.protocol import Protocol, by_name
from cobra_kit_benchmarks.vqav2 import prompt, reader, results

_RAW = "none but the rule's"

DEFINITION = Definition(
    name="vqav2",
    label="VQAv2",
    protocols=by_name(
        Protocol(split="val", rule="vqav2/official", post_processing=_RAW),
        Protocol(name="llava", split="val", rule="vqav2/evalai", post_processing="the EvalAI processor, as LLaVA's"),
        Protocol(name="plain", split="val", prompt="plain", rule="vqav2/official", post_processing=_RAW),
    ),
    splits={
        "val": SplitFiles(
            annotations=("v2_mscoco_val2014_annotations.json", "v2_val2014_annotations.json", "vqav2_annotations.json"),
            images=("val2014", "images_val2014", "images", "../images"),
            others={
                "questions": (
                    "v2_OpenEnded_mscoco_val2014_questions.json",
                    "v2_val2014_questions.json",
                    "vqav2_questions.json",
                )
            },
        )
    },
    counts={"val": Counts((214_354,), 40_504)},
    read=reader.read,
    prompts=prompt.PROMPTS,
    read_results=results.read,
    aliases=by_place,
)
