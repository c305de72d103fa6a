"""Which floating-point type a part takes, what runs without a graph, and whether it all fits into memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from cobra_kit.errors import WeightsError
from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.model.batch import ImageGroup
from cobra_kit.model.placement import part_dtypes, peak_bytes
from cobra_kit.recipe import load_recipe
from cobra_kit.weights import memory

STAGE = "\n  {name}: {{steps: 1, batch_size: 2, learning_rate: 0.001}}"


def with_stages(recipe: Path, *stages: str) -> Path:
    text = recipe.read_text() + "train:" + "".join(STAGE.format(name=name) for name in stages)
    recipe.write_text(text + "\n")
    return recipe


def test_a_frozen_encoder_takes_bfloat16_on_a_gpu_and_only_there(recipe: Path) -> None:
    loaded = load_recipe(recipe)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    rest = {"projector": None, "fusion": None, "backbone": None}
    assert part_dtypes(loaded, gpu, None) == {"vision_encoder": torch.bfloat16, **rest}
    assert part_dtypes(loaded, cpu, None) == {"vision_encoder": None, **rest}
    assert part_dtypes(loaded, gpu, None, torch.float32) == {"vision_encoder": torch.float32, **rest}
    assert set(part_dtypes(loaded, gpu, torch.float16).values()) == {torch.float16}


@pytest.mark.parametrize(
    ("stages", "expected"), [(["finetune"], torch.bfloat16), (["finetune", "full_finetune"], None)]
)
def test_an_encoder_that_a_stage_trains_keeps_its_precision(
    recipe: Path, stages: list[str], expected: torch.dtype | None
) -> None:
    loaded = load_recipe(with_stages(recipe, *stages))
    assert part_dtypes(loaded, torch.device("cuda"), None)["vision_encoder"] == expected


def dtypes(model: VisionLanguageModel) -> dict[str, set[torch.dtype]]:
    return {kind: {p.dtype for p in part.parameters()} for kind, part in model.parts().items() if [*part.parameters()]}


TINY = """
title: tiny
seed: 3
model:
  vision_encoder: {use: dinosiglip/tiny}
  projector: {use: mlp/fused}
  fusion: {use: fusion/image-first}
  backbone: {use: mamba/tiny}
"""


def test_a_frozen_encoder_in_bfloat16_feeds_a_projector_in_float32_without_a_graph(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    model = compose(tmp_path / "tiny.yaml", encoder_dtype=torch.bfloat16)
    full = compose(tmp_path / "tiny.yaml")
    kinds = dtypes(model)
    assert kinds["vision_encoder"] == {torch.bfloat16}
    assert all(kinds[kind] == {torch.float32} for kind in ("projector", "backbone"))
    seen: list[torch.Tensor] = []
    model.vision_encoder.register_forward_hook(lambda _module, _inputs, out: seen.append(out.values))
    images = torch.rand(1, 3, 64, 64)
    shape = model.vision_encoder.max_shape(model.vision_encoder.config)
    group = ImageGroup({"dino": images, "siglip": images}, None, shape, (0,))
    tokens = model.encode_images(group)
    assert seen[0].dtype == torch.bfloat16
    assert not seen[0].requires_grad
    assert tokens.values.dtype == torch.float32
    exact = full.encode_images(group).values
    assert (tokens.values - exact).abs().mean() < 0.03 * exact.abs().mean()
    model.projector(tokens).values.sum().backward()
    assert all(p.grad is None for p in model.vision_encoder.parameters())
    assert all(p.grad is not None for p in model.projector.parameters())


def test_the_peak_is_the_filled_part_beside_those_that_stand() -> None:
    with torch.device("meta"):
        modules = [nn.Linear(10, 10, bias=False), nn.Linear(20, 10, bias=False), nn.Linear(5, 2, bias=False)]
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert peak_bytes(modules, cpu, [None] * 3) == 400 + 800 + 40
    assert peak_bytes(modules, cpu, [torch.bfloat16] * 3) == 200 + 800
    assert peak_bytes(modules, gpu, [None] * 3) == 800


def test_too_little_memory_is_said_before_anything_is_filled(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 100)
    with pytest.raises(WeightsError, match=r"toy-plugin/patches, .*toy-plugin/decay: loading needs .* are available\n"):
        compose(recipe)
    compose(recipe, device="meta")
