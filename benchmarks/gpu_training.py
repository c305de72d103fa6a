"""The part of `gpu.py` about training: optimiser steps of Cobra-3B's shapes."""

from __future__ import annotations

import statistics
import time
from collections import Counter

import torch
from interleave import Claim, Report
from PIL import Image
from torch.profiler import ProfilerActivity, profile

from cobra_kit.bench.models import build
from cobra_kit.bench.subjects import Subject, subjects_of
from cobra_kit.estimate.counting import RowShape, count_pass
from cobra_kit.estimate.hardware import HARDWARE
from cobra_kit.model import Batch, VisionLanguageModel, compose
from cobra_kit.model.placement import place
from cobra_kit.recipe.sections import StageSection
from cobra_kit.train.optimiser import make_optimiser
from cobra_kit.train.step import optimiser_step

TRAINED = {"projector", "fusion", "backbone"}
TEXT_TOKENS = 250
"""Text tokens of a row, an assumption of `cobra-kit plan` too."""


def training(report: Report, device: torch.device, dry: bool) -> None:
    """Times steps at the largest batch that fits, halving it where memory ends."""
    recipe, profile_name = ("cobra_tiny", None) if dry else ("cobra_3b", "paper")
    _, (subject, *_) = subjects_of(recipe, profile=profile_name)
    rows = 2 if dry else 4
    while True:
        try:
            _steps(report, subject, device, rows, dry)
        except torch.OutOfMemoryError:
            report.note(f"training: {rows} rows do not fit")
            rows //= 2
            if not rows:
                raise
        else:
            return
        torch.cuda.empty_cache()


def _steps(report: Report, subject: Subject, device: torch.device, rows: int, dry: bool) -> None:
    model = build(subject, device=device, dtype=torch.float32, weights="random")
    mixed = device.type == "cuda"
    if mixed:
        place(model.vision_encoder, device, torch.bfloat16)
    model.train_only(TRAINED)
    for kind, module in model.parts().items():
        module.train(kind in TRAINED)
    batch = _batch(model, rows, 20 if dry else TEXT_TOKENS)
    optimiser = make_optimiser(model, StageSection(steps=1, learning_rate=1e-6))
    taken = []

    def step() -> None:
        started = time.perf_counter()
        optimiser_step(model, [batch], optimiser, 1.0, torch.bfloat16 if mixed else None)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)

    for _ in range(2 if dry else 3):
        step()
    taken.clear()
    for _ in range(2 if dry else 8):
        step()
    seconds = statistics.median(taken)
    tokens = sum(batch.layout.lengths)
    how = "bfloat16 autocast over float32 weights, AdamW" if mixed else "float32, AdamW"
    report.note(
        f"training: {subject.name}, {rows} rows of {tokens // rows} tokens, {how}, {1e3 * seconds:.0f} ms a step"
    )
    report.claim(Claim(f"training {subject.name}, tokens/s (image tokens included)", tokens / seconds, ""))
    flops = _flops(subject, rows, tokens // rows, batch)
    report.claim(Claim(f"training {subject.name}, model TFLOP/s", flops / seconds / 1e12, ""))
    peak = _peak(device)
    if peak is not None:
        report.claim(Claim(f"training {subject.name}, model FLOPs utilisation", 100 * flops / seconds / peak, "%"))
    _profile(report, step, device)


def _batch(model: VisionLanguageModel, rows: int, text_tokens: int) -> Batch:
    """Returns equal rows of one image and about so many text tokens, most of them an answer."""
    image, answer = Image.new("RGB", (384, 384), "gray"), "a"
    while True:
        row = model.processor.row([("What is this?", answer)], [image])
        missing = text_tokens - len(row.text.ids)
        if missing <= 0:
            return model.processor.collate([row] * rows).to(model.device)
        answer += " a" * missing


def _flops(subject: Subject, rows: int, tokens: int, batch: Batch) -> float:
    """Returns the FLOPs of a step, counted on the meta device, the frozen encoder's included."""
    model = compose(subject.resolved, device="meta")
    text = tokens - model.image_tokens().num_tokens
    shape = RowShape(text_tokens=text, supervised=min(text, len(batch.targets) // rows))
    return count_pass(model, subject.resolved, TRAINED, shape, rows=rows, dtype=torch.bfloat16).step_flops


def _peak(device: torch.device) -> float | None:
    """Returns what the GPU can do at most in dense bfloat16, where it is a known one."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device).lower()
    return next((hardware.peak_flops for key, hardware in HARDWARE.items() if key in name), None)


def _profile(report: Report, step, device: torch.device) -> None:
    """Notes where the time of one step goes."""
    activities = [ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU]
    with profile(activities=activities) as recorded:
        step()
    spent: Counter[str] = Counter()
    for event in recorded.key_averages():
        spent[event.key] += event.self_device_time_total if device.type == "cuda" else event.self_cpu_time_total
    total = spent.total() or 1
    for name, microseconds in spent.most_common(12):
        report.note(f"training profile: {100 * microseconds / total:5.1f} %  {name[:90]}")
