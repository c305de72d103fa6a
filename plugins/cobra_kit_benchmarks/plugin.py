"""Declares the nine benchmarks of the paper and the rules that score them. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from cobra_kit.plugin import BenchmarkSpec, ScoringRuleSpec, hookimpl

_PACKAGE = "cobra_kit_benchmarks"

_BENCHMARKS = (
    ("vqav2", "vqav2.benchmark:VQAv2", "VQAv2 val: 214,354 open questions about COCO images"),
    ("gqa", "gqa.benchmark:GQA", "GQA testdev_balanced: 12,578 compositional questions"),
    ("vizwiz", "vizwiz.benchmark:VizWiz", "VizWiz val: 4,319 questions of blind people, some unanswerable"),
    (
        "textvqa",
        "textvqa.benchmark:TextVQA",
        "TextVQA 0.5.1 val: 5,000 questions about text; OCR tokens first, last, none",
    ),
    ("vsr", "vsr.benchmark:VSR", "VSR zero-shot test: 1,222 statements about places, true or false"),
    ("pope", "pope.benchmark:POPE", "POPE: 9,000 questions for objects, random, popular and adversarial"),
    ("refcoco", "refcoco.benchmark:RefCOCO", "RefCOCO val (unc): boxes for 10,834 expressions"),
    ("refcoco-plus", "refcoco_plus.benchmark:RefCOCOPlus", "RefCOCO+ val (unc): boxes for 10,758 expressions"),
    ("refcocog", "refcocog.benchmark:RefCOCOg", "RefCOCOg val (umd): boxes for 4,896 expressions"),
)

_RULES = (
    ("vqav2/official", "vqav2.rule:OFFICIAL", "leave-one-out accuracy; normalised only if the annotators differ"),
    ("vqav2/lavis", "vqav2.rule:LAVIS", "leave-one-out accuracy; the prediction is always normalised"),
    ("vqav2/evalai", "vqav2.rule:EVALAI", "the official rule after the EvalAI processor, as LLaVA submits"),
    ("textvqa/m4c", "textvqa.rule:M4C", "leave-one-out accuracy of the M4C evaluator"),
    ("vizwiz/official", "vizwiz.rule:OFFICIAL", "leave-one-out accuracy, unanswerability AP and F1: the site's API"),
    ("vizwiz/cobra", "vizwiz.rule:COBRA", "the same as the Cobra paper's harness carries it"),
    ("pope/first-token", "pope.rule:FIRST_TOKEN", "the more probable of Yes and No; mean of the splits' accuracies"),
    ("pope/text", "pope.rule:TEXT", "a first sentence with no or not means no, all else yes"),
    ("pope/exact", "pope.rule:EXACT", "the whole answer must be yes or no"),
    ("vsr/first-token", "vsr.rule:FIRST_TOKEN", "the more probable of True and False; accuracy and AUC"),
    ("vsr/text", "vsr.rule:TEXT", "the whole answer must be true or false"),
    ("refcoco/cobra", "refcoco.rule:COBRA", "four numbers in 0..1; IoU of at least 0.5"),
    ("refcoco/minigpt4", "refcoco.rule:MINIGPT4", "{<x1><y1><x2><y2>} in hundredths; IoU in pixels above 0.5"),
    ("gqa/official", "gqa.rule:OFFICIAL", "equal after lower-casing and stripping of final periods, as LLaVA prepares"),
    ("gqa/cobra", "gqa.rule:COBRA", "equal after lower-casing and removal of punctuation"),
    ("gqa/exact", "gqa.rule:EXACT", "equal to the letter: eval.py alone"),
)


@hookimpl
def cobra_benchmarks() -> Iterator[BenchmarkSpec]:
    """Yields the nine benchmarks."""
    for name, target, summary in _BENCHMARKS:
        yield BenchmarkSpec(
            name=name,
            summary=summary,
            target=f"{_PACKAGE}.{target}",
            config=f"{_PACKAGE}.config:BenchmarkSettings",
        )


@hookimpl
def cobra_scoring_rules() -> Iterator[ScoringRuleSpec]:
    """Yields the rules, benchmark by benchmark."""
    for name, target, summary in _RULES:
        yield ScoringRuleSpec(name=name, summary=summary, target=f"{_PACKAGE}.{target}")
