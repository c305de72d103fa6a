"""FLOPs against hand counts, memory kept for the backward pass, parameters that never run; all on the meta device."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cobra_kit.errors import PluginError
from cobra_kit.estimate import calibration
from cobra_kit.estimate.counting import ModelCount, PassCount, RowShape, count_model, count_pass
from cobra_kit.estimate.operations import OperationCounter, SavedTensors, never_run
from cobra_kit.interfaces import VisualTokens, full_precision
from cobra_kit.model import VisionLanguageModel
from cobra_kit.recipe import ResolvedRecipe, load_recipe, resolve

LANGUAGE = ("projector", "fusion", "backbone")


@pytest.fixture(scope="module")
def full_size() -> tuple[ResolvedRecipe, VisionLanguageModel, ModelCount]:
    resolved = resolve(load_recipe("cobra_3b", profile="paper"))
    return (resolved, *count_model(resolved))


def test_the_sizes_of_cobra_3b(full_size: tuple[ResolvedRecipe, VisionLanguageModel, ModelCount]) -> None:
    _, _, count = full_size
    assert count.total == 3_548_076_096
    assert count.trainable(LANGUAGE) == 2_816_135_168
    assert count.image_tokens == 729
    # SigLIP's pooling head and both last norms: timm's own numbers for the head, two vectors per norm.
    head = count.parts["vision_encoder"].unused_heads
    assert head == 15_238_352 + 2 * (1152 + 1024)
    assert count.without_unused_heads == count.total - head
    # Beside them the last block of either tower.
    dino_block = 12 * 1024**2 + 13 * 1024 + 2 * 1024  # two layer scales
    siglip_block = 4 * 1152**2 + 4 * 1152 + 2 * 1152 * 4304 + 4304 + 1152 + 4 * 1152
    assert count.parts["vision_encoder"].unused == head + dino_block + siglip_block


def test_flops_of_cobra_3b_are_those_counted_by_hand(
    full_size: tuple[ResolvedRecipe, VisionLanguageModel, ModelCount],
) -> None:
    resolved, model, _ = full_size
    count = count_pass(model, resolved, LANGUAGE, RowShape(100, 40), rows=2, dtype=torch.bfloat16)
    assert count.approximate is None
    encoder, projector, language = calibration.cobra_3b_forward(100, 40, 729)
    assert count.encoder_flops / 2 == pytest.approx(encoder, rel=0.005)
    assert count.forward_flops / 2 == pytest.approx(projector + language, rel=0.005)
    assert count.step_flops / 2 == pytest.approx(calibration.cobra_3b_flops(100, 40) - encoder, rel=0.005)
    assert (count.trainable, count.frozen) == (2_816_135_168, 731_940_928)


def test_ldpv2_leaves_196_tokens() -> None:
    recipe = load_recipe("cobra_3b", profile="paper", overrides=["model.projector.use=ldpv2/fused"])
    assert count_model(resolve(recipe))[1].image_tokens == 196


def test_the_paper_s_run_implies_a_utilisation() -> None:
    low, middle, high = (calibration.implied_utilisation(tokens) for tokens in (120, 250, 350))
    assert 0.15 < low < middle < high < 0.22
    run = calibration.PublishedRun(hours=53)
    assert calibration.implied_utilisation(250, run) == pytest.approx(middle / 2)
    assert f"{middle:.1%}" in calibration.explanation()


def test_a_linear_layer_and_what_follows_it() -> None:
    with torch.device("meta"):
        layer, x = nn.Linear(8, 16), torch.empty(5, 8)
    with OperationCounter() as counter:
        y = F.relu(layer(x))
        forward = counter.total
        y.sum().backward()
    assert forward == 2 * 5 * 8 * 16 + 5 * 16
    weight_gradient = 2 * 5 * 8 * 16  # x needs none
    assert counter.total - counter.elementwise == 2 * 5 * 8 * 16 + weight_gradient


def test_attention_counts() -> None:
    with torch.device("meta"):
        q = torch.empty(2, 4, 32, 16)
    with OperationCounter() as counter:
        F.scaled_dot_product_attention(q, q, q)
    products = counter.total - counter.elementwise
    assert products == 2 * (2 * 2 * 4 * 32 * 32 * 16)


def test_a_part_may_switch_autocast_off() -> None:
    x = torch.empty(3, device="meta")
    with OperationCounter() as counter, full_precision(x.device):
        _ = x + 1
    assert counter.total == 3
    with torch.autocast("cpu", torch.bfloat16), full_precision(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_what_is_kept_for_the_backward_pass() -> None:
    with torch.device("meta"):
        blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8)) for _ in range(3))
        x = torch.empty(5, 8)
    with SavedTensors(blocks, list(blocks)) as saved:
        for block in blocks:
            x = block(x)
    inputs, hidden = 3 * 5 * 8 * 4, 5 * 32 * 4
    assert saved.bytes == inputs + 3 * hidden
    # Each block keeps its input; the one that is computed again keeps the rest for a while.
    assert saved.bytes_checkpointed == inputs + 5 * 8 * 4 + hidden


def test_parameters_that_never_run() -> None:
    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)  # type: ignore[no-any-return]

    with torch.device("meta"):
        tower, x = Tower().requires_grad_(False), torch.empty(2, 4)
    assert never_run(tower, lambda: tower(x)) == ["head.weight", "head.bias"]
    assert not any(p.requires_grad or p.grad is not None for p in tower.parameters())


def tiny() -> tuple[ResolvedRecipe, VisionLanguageModel]:
    resolved = resolve(load_recipe("cobra_tiny"))
    return resolved, count_model(resolved)[0]


def counted(trains: tuple[str, ...], rows: int = 2, images: int = 1) -> PassCount:
    resolved, model = tiny()
    return count_pass(model, resolved, trains, RowShape(20, 8, images), rows=rows, dtype=torch.float32)


def test_flops_grow_with_rows_and_shrink_with_what_is_frozen() -> None:
    one_row, two_rows = counted(LANGUAGE, rows=1), counted(LANGUAGE, rows=2)
    assert two_rows.step_flops == pytest.approx(2 * one_row.step_flops, rel=0.01)
    align, full = counted(("projector",)), counted(("vision_encoder", *LANGUAGE))
    assert align.backward_flops < two_rows.backward_flops < full.backward_flops
    assert align.forward_flops == two_rows.forward_flops == full.forward_flops
    assert full.encoder_flops == two_rows.encoder_flops
    assert full.activations is not None
    assert two_rows.activations is not None
    assert full.activations > two_rows.activations


def test_rows_without_images() -> None:
    count = counted(("backbone",), images=0)
    assert count.encoder_flops == 0
    assert count.approximate is None


def test_a_part_that_cannot_run_without_values_is_approximated() -> None:
    resolved, model = tiny()
    reads_a_value = model.projector.forward

    def forward(tokens: object) -> object:
        out = reads_a_value(tokens)
        out.values.sum().item()
        return out

    model.projector.forward = forward  # type: ignore[method-assign]
    count = count_pass(model, resolved, LANGUAGE, RowShape(20, 8), rows=2, dtype=torch.float32)
    assert count.approximate is not None
    assert "item" in count.approximate
    assert count.activations is None
    parameters = sum(p.numel() for p in model.backbone.parameters())
    assert count.forward_flops >= 2 * 2 * (64 + 20) * parameters


def test_a_stranger_s_autocast_is_approximated_and_told() -> None:
    resolved, model = tiny()
    forward = model.projector.forward

    def half(tokens: VisualTokens) -> VisualTokens:
        with torch.autocast(tokens.values.device.type, enabled=False):
            return forward(tokens)

    model.projector.forward = half  # type: ignore[method-assign]
    count = count_pass(model, resolved, LANGUAGE, RowShape(20, 8), rows=2, dtype=torch.float32)
    assert count.approximate is not None
    assert "cobra_kit.interfaces.full_precision" in count.approximate


def test_an_unfinished_component_is_named() -> None:
    resolved = resolve(load_recipe("cobra_tiny"))
    part = resolved.parts["projector"]
    spec = replace(part.component.spec, unfinished="comes later")
    unfinished = replace(part, component=replace(part.component, spec=spec))
    with pytest.raises(PluginError, match="mlp/fused is not finished yet"):
        count_model(replace(resolved, parts={**resolved.parts, "projector": unfinished}))
