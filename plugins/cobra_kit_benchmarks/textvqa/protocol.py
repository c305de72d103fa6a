"""TextVQA as the paper asks it, and its files: `val` of release 0.5.1, 5,000 questions about 3,166 images.

The paper's number has the OCR tokens first; `ocr-last` and `no-ocr` are the other columns of its Table 7.
"""

from __future__ import annotations

from cobra_kit_benchmarks.common.counts import Counts
from cobra_kit_benchmarks.common.definition import Definition, SplitFiles
from cobra_kit_benchmarks.common.protocol import Protocol, by_name
from cobra_kit_benchmarks.textvqa import prompt, reader, results

_RAW = "none but the rule's"

DEFINITION = Definition(
    name="textvqa",
    label="TextVQA",
    protocols=by_name(
        Protocol(split="val", rule="textvqa/m4c", post_processing=_RAW),
        Protocol(name="ocr-last", split="val", prompt="ocr-last", rule="textvqa/m4c", post_processing=_RAW),
        Protocol(name="no-ocr", split="val", prompt="no-ocr", rule="textvqa/m4c", post_processing=_RAW),
    ),
    splits={
        "val": SplitFiles(
            annotations=("TextVQA_0.5.1_val.json", "textvqa.json"),
            images=("train_images", "train_val_images", "images", "../images"),
            others={
                "ocr": (
                    "llava_textvqa_val_v051_ocr.jsonl",
                    "textvqa_val_v051_ocr.jsonl",
                    "TextVQA_Rosetta_OCR_v0.2_val.json",
                    "textvqa_ocr.json",
                )
            },
        )
    },
    counts={"val": Counts((5_000,), 3_166)},
    read=reader.read,
    prompts=prompt.PROMPTS,
    read_results=results.read,
    aliases=results.aliases,
)
