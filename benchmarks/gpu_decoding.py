"""The part of `gpu.py` about decoding: the paper's protocol, with and without a graph, and the Transformer's best."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import torch
from interleave import Claim, Report, take_turns

from cobra_kit.bench import BenchResult, Measurement, Settings, Subject, bench, subjects_of

DRY_TOKENS, TOKENS = 8, 256


def decoding(report: Report, device: torch.device, dry: bool) -> None:
    """Times whole answers and claims what the issue of speed is about."""
    recipe, profile, against = (
        ("cobra_tiny", None, "transformer/tiny") if dry else ("cobra_3b", "paper", "transformer/pythia-2.8b")
    )
    _, subjects = subjects_of(recipe, profile=profile, against=against)
    dtype = "float32" if device.type == "cpu" else "bfloat16"
    settings = Settings(
        protocol="cobra",
        device=str(device),
        dtypes=(dtype,),
        new_tokens=DRY_TOKENS if dry else TOKENS,
        repeats=2 if dry else 5,
        warmup=1,
        memory=False,
    )
    with_graph = bench(subjects, settings, recipe=recipe, profile=profile, report=print)
    plainly = replace(settings, graphs="never", repeats=2 if dry else 3)
    without = bench(subjects, plainly, recipe=recipe, profile=profile, report=print)
    for result in (with_graph, without):
        for measurement in result.measurements:
            _add(report, measurement)
    mamba, transformer = _by_subject(with_graph, subjects)
    plain_mamba, _ = _by_subject(without, subjects)
    report.claim(
        Claim(f"{mamba.subject}: share of the memory bandwidth that a step reaches", 100 * mamba.share, "%", 60)
    )
    report.claim(Claim(f"{mamba.subject}: the paper's protocol, tokens/s", mamba.paper_rate, ""))
    report.claim(Claim(f"{mamba.subject}: the same without a graph, tokens/s", plain_mamba.paper_rate, ""))
    report.claim(
        Claim(
            f"{transformer.subject} by its own best path takes this much longer per token",
            transformer.step.median / mamba.step.median,
            goal=1.0,
        )
    )
    theirs = transformers_generate(report, subjects[1], mamba, settings, device)
    report.claim(
        Claim(
            f"{transformer.subject} through transformers' generate takes this much longer per token",
            theirs / mamba.step.median,
            goal=4.0,
        )
    )


def transformers_generate(
    report: Report, subject: Subject, like: Measurement, settings: Settings, device: torch.device
) -> float:
    """Returns seconds per token of the same language model through transformers' plain `generate`, prefill apart."""
    from transformers import AutoModelForCausalLM

    from cobra_kit.model import compose

    ours: Any = compose(subject.resolved, device="meta").backbone
    with device:  # transformers fills the weights there, at random
        model = AutoModelForCausalLM.from_config(ours.decoder.config, dtype=getattr(torch, settings.dtypes[0])).eval()
    ids = torch.randint(0, model.config.vocab_size, (1, like.context), device=device)
    new = settings.new_tokens

    def answer(tokens: int) -> None:
        model.generate(ids, min_new_tokens=tokens, max_new_tokens=tokens, do_sample=False, pad_token_id=0)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    contestants = {"1 token": lambda: answer(1), f"{new} tokens": lambda: answer(new)}
    for call in contestants.values():
        call()
    times = take_turns(contestants, 3)
    report.add(
        f"transformers' generate, {type(model).__name__}, prompt {like.context}", times, dtype=settings.dtypes[0]
    )
    short, long = (statistics.median(taken) for taken in times.values())
    return (long - short) / (new - 1) / 1e3


def _by_subject(result: BenchResult, subjects: list[Subject]) -> list[Measurement]:
    by_name = {measurement.subject: measurement for measurement in result.measurements}
    missing = [subject for subject in subjects if subject.name not in by_name]
    if missing:
        raise RuntimeError(f"not measured: {', '.join(f'{case.name}: {case.reason}' for case in result.not_run)}")
    return [by_name[subject.name] for subject in subjects]


def _add(report: Report, run: Measurement) -> None:
    how = f"graph ({run.graph_reason})" if run.graph else f"no graph ({run.graph_reason})"
    report.note(
        f"decoding: {run.subject}, {run.dtype}, context {run.context}, {run.new_tokens} tokens, {how}: "
        f"first token {1e3 * run.first_token.median:.1f} ms, step {1e3 * run.step.median:.3f} ms, "
        f"{run.decode_rate:.1f} tokens/s after the first, {run.paper_rate:.1f} as the paper counts, "
        f"{100 * run.share:.1f} % of the bandwidth, {run.traffic.total / 1e9:.2f} GB per step"
    )
