"""The protocol of a score: everything that two numbers must share before one is subtracted from the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from cobra_kit.errors import CobraError
from cobra_kit.interfaces.benchmark import Benchmark, BenchmarkProtocol

SUBSET_SEED = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedProtocol:
    """The way a run was asked. It is stored with every score and printed with every number.

    Args:
        split: The split of the benchmark's files.
        prompt: The wording of a question, with `{question}` where its text goes.
        rule: Name of the rule.
        decoding: `greedy` or `choices`.
        post_processing: What is done with an answer before the rule sees it; empty: nothing.
        max_new_tokens: Most tokens of an answer.
        asked: How many questions were chosen.
        available: How many the benchmark has.
        subset: The rule by which they were chosen; empty where all were asked.
        data: Fingerprint of the questions, the annotations and the images.
    """

    split: str
    prompt: str
    rule: str
    decoding: str
    post_processing: str
    max_new_tokens: int
    asked: int
    available: int
    subset: str
    data: str

    @property
    def digest(self) -> str:
        """Returns 16 hex digits that differ for whatever differs in a protocol."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def parts(self) -> dict[str, str]:
        """Returns what a reader must know, by name, in words."""
        return protocol_parts(asdict(self))


def protocol_parts(stored: Mapping[str, Any]) -> dict[str, str]:
    """Returns what a reader must know of a protocol as scores are stored with it, by name, in words.

    Args:
        stored: The fields of a `BenchmarkProtocol`, or of an `AskedProtocol`.
    """
    parts = {"split": stored["split"]}
    if "asked" in stored:
        parts["questions"] = f"all {stored['available']:,}"
        if stored["subset"]:
            parts["questions"] = f"{stored['asked']:,} of {stored['available']:,} ({stored['subset']})"
    decoding = stored["decoding"]
    if decoding == "choices":
        decoding = "choices, ranked at the first token"
    elif stored.get("max_new_tokens") is not None:
        decoding += f", at most {stored['max_new_tokens']} new tokens"
    prompt = stored.get("prompt")
    return {
        **parts,
        "decoding": decoding,
        "post-processing": stored.get("post_processing") or "none",
        "rule": stored["rule"],
        "prompt": json.dumps(prompt, ensure_ascii=False) if prompt else "each question's own",
    }


def asked_protocol(
    stated: BenchmarkProtocol, benchmark: Benchmark, *, available: int, max_new_tokens: int, data: str
) -> AskedProtocol:
    """Returns the protocol of a benchmark as it is asked.

    Args:
        stated: What the benchmark says of itself.
        benchmark: The questions that were chosen.
        available: How many questions the benchmark has.
        max_new_tokens: The recipe's most tokens of an answer, for a protocol that has none of its own.
        data: The benchmark's fingerprint.

    Raises:
        CobraError: The protocol names another rule than the one that will score.
    """
    if stated.rule != benchmark.rule:
        raise CobraError(
            f"its protocol says the rule {stated.rule}, its questions are scored by {benchmark.rule}",
            where=benchmark.name,
            hint="Whoever made the benchmark must name one rule in both: it stands beside every number.",
        )
    asked = len(benchmark.questions)
    return AskedProtocol(
        split=stated.split,
        prompt=stated.prompt,
        rule=stated.rule,
        decoding=stated.decoding,
        post_processing=stated.post_processing,
        max_new_tokens=max_new_tokens if stated.max_new_tokens is None else stated.max_new_tokens,
        asked=asked,
        available=available,
        subset=_SUBSET.format(asked) if asked < available else "",
        data=data,
    )


def own_protocol(
    benchmark: Benchmark, split: str, stated: BenchmarkProtocol | None, max_new_tokens: int
) -> BenchmarkProtocol:
    """Returns the protocol of a benchmark that a data source asks about its own images.

    Args:
        benchmark: The questions, which know their rule and their choices.
        split: The split that they are of.
        stated: What the source's plugin says of them; None: nothing.
        max_new_tokens: The recipe's most tokens of a generated answer.
    """
    choices = any(question.choices for question in benchmark.questions)
    if stated is None:
        decoding = "choices" if choices else "greedy"
        stated = BenchmarkProtocol(split=split, prompt="", rule=benchmark.rule, decoding=decoding)
    return replace(stated, rule=benchmark.rule, max_new_tokens=None if choices else max_new_tokens)


_SUBSET = f"the first {{}} places after random.Random({SUBSET_SEED}).shuffle"


def limited_places(total: int, limit: int | None) -> list[int]:
    """Returns the places of the questions that a limit leaves, in order; a smaller limit's lie within a larger one's.

    Raises:
        CobraError: The limit leaves none.
    """
    if limit is not None and limit < 1:
        raise CobraError(f"{limit} questions are none to ask", where="--limit", hint="Give 1 or more, or leave it out.")
    places = list(range(total))
    if limit is None or limit >= total:
        return places
    Random(SUBSET_SEED).shuffle(places)
    return sorted(places[:limit])
