"""What answering takes, counted without weights, against models that were built."""

from __future__ import annotations

import pytest
import torch

from cobra_kit.estimate.inference import inference_need, together
from cobra_kit.model import compose
from cobra_kit.recipe import load_recipe, resolve

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_and_state_are_those_of_the_built_model(dtype):
    resolved = resolve(load_recipe("cobra_tiny"))
    need = inference_need(resolved, device=CPU, dtype=dtype, rows=2, text_tokens=10, new_tokens=5)
    model = compose(resolved, dtype=dtype)
    tensors = [*model.parameters(), *model.buffers()]
    assert need.weights == sum(t.numel() * t.element_size() for t in tensors)
    room = model.image_tokens().num_tokens + 15
    assert need.state == model.backbone.new_state(2, room, device=CPU, dtype=dtype).nbytes
    assert (need.filling > 0) == (dtype == torch.bfloat16)


def test_a_longer_prompt_passes_more_memory():
    resolved = resolve(load_recipe("cobra_tiny"))
    short, long = (
        inference_need(resolved, device=CPU, dtype=torch.float32, rows=1, text_tokens=n, new_tokens=2)
        for n in (2000, 4000)
    )
    assert short.passing is not None
    assert long.passing is not None
    assert 1.7 < long.passing / short.passing < 2.3
    assert short.weights == long.weights


def test_full_size_costs_no_memory_and_models_share_what_is_needed_for_a_moment():
    resolved = resolve(load_recipe("cobra_3b", profile="paper"))
    need = inference_need(resolved, device=CPU, dtype=torch.bfloat16, rows=1, text_tokens=64, new_tokens=256)
    assert 7.0e9 < need.weights < 7.5e9
    assert together([need]) == need.weights + need.filling
    assert together([need, need]) == 2 * need.weights + need.filling
