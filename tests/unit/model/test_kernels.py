"""Kernel reports of equal layers become one."""

from __future__ import annotations

import torch

from cobra_kit.interfaces import KernelReport
from cobra_kit.model import compose
from cobra_kit.model.kernels import grouped, kernels_on
from cobra_kit.recipe import load_recipe, resolve


def test_layers_that_differ_in_their_number_only_are_joined():
    layers = [KernelReport(f"layers.{i}.mixer scan", "C", "compiled") for i in (0, 1, 2, 5)]
    other = [KernelReport(f"layers.{i}.mixer scan", "PyTorch", "no", "buy") for i in (3, 4)]
    groups = grouped([*layers, *other, KernelReport("head2 x", "C", "compiled")])
    assert [(group.layers, group.count, group.kernel, group.remedy) for group in groups] == [
        ("layers.0-2,5.mixer scan", 4, "C", None),
        ("layers.3-4.mixer scan", 2, "PyTorch", "buy"),
        ("head2 x", 1, "C", None),
    ]


def test_a_backbone_without_weights_says_what_it_would_do_in_a_dtype(monkeypatch):
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "auto")
    part = resolve(load_recipe("cobra_tiny")).parts["backbone"]
    with torch.device("meta"):
        backbone = part.component.load_class()(part.config)
    assert all("meta" not in group.reason for group in kernels_on(backbone, torch.device("cpu"), torch.bfloat16))
    kept = {name: p.dtype for name, p in backbone.named_parameters()}
    assert kept["embedding.weight" if "embedding.weight" in kept else next(iter(kept))] == torch.bfloat16
    assert any(dtype == torch.float32 for dtype in kept.values())  # never_quantise
    assert all(p.is_contiguous() for p in backbone.parameters())
    assert len({p.untyped_storage().data_ptr() for p in backbone.parameters()}) == 1  # one piece of memory for all


def test_what_is_said_without_weights_is_what_the_built_model_says():
    resolved = resolve(load_recipe("cobra_tiny"))
    part = resolved.parts["backbone"]
    with torch.device("meta"):
        backbone = part.component.load_class()(part.config)
    assert kernels_on(backbone, torch.device("cpu")) == grouped(compose(resolved).backbone.kernels())
