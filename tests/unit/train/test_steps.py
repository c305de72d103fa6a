"""One optimiser step: accumulation changes nothing, NaN stops before a weight is touched."""

from __future__ import annotations

import pytest
import torch

from cobra_kit.data.features import FeatureCache
from cobra_kit.data.prepared import TrainingSet
from cobra_kit.data.rows import used_images
from cobra_kit.errors import TrainingError
from cobra_kit.recipe.sections import StageSection
from cobra_kit.train import STAGES, set_stage
from cobra_kit.train.mixed_precision import product_dtype
from cobra_kit.train.optimiser import make_optimiser
from cobra_kit.train.step import NotFiniteError, accumulate, optimiser_step


@pytest.fixture
def rows(model, source, tmp_path):
    features = FeatureCache.of(model, source, used_images(source.rows), tmp_path / "features")
    return TrainingSet(source.rows, model.processor, features)


def gradients(model, batches):
    model.zero_grad()
    loss = accumulate(model, batches)
    return loss, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("split", [[1] * 8, [7, 1], [3, 5]])
def test_micro_batches_change_neither_loss_nor_gradient(model, rows, split):
    set_stage(model, STAGES["finetune"])
    numbers = list(range(8))
    assert len({rows.batch([i]).num_supervised for i in numbers}) > 1, "rows must differ in supervised tokens"
    whole, expected = gradients(model, [rows.batch(numbers)])
    parts, start = [], 0
    for size in split:
        parts.append(rows.batch(numbers[start : start + size]))
        start += size
    loss, gradients_of_parts = gradients(model, parts)
    torch.testing.assert_close(loss, whole)
    assert set(gradients_of_parts) == set(expected)
    for name in expected:
        torch.testing.assert_close(gradients_of_parts[name], expected[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("kernel", ["auto", "chunked"])
def test_products_in_bfloat16_leave_loss_weights_and_gradients_in_float32(model, rows, kernel, monkeypatch):
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)
    set_stage(model, STAGES["finetune"])
    batch = rows.batch(list(range(8)))
    exact, expected = gradients(model, [batch])
    model.zero_grad()
    loss = accumulate(model, [batch], torch.bfloat16)
    assert loss.dtype == torch.float32
    assert loss != exact
    torch.testing.assert_close(loss, exact, rtol=2e-2, atol=0)
    gradients_of_parts = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert {grad.dtype for grad in gradients_of_parts.values()} == {torch.float32}
    off = sum(float((gradients_of_parts[name] - expected[name]).square().sum()) for name in expected)
    size = sum(float(grad.square().sum()) for grad in expected.values())
    assert (off / size) ** 0.5 < 0.1  # a rounding of 2^-9 per product, through a few layers; measured 0.01 to 0.02


def test_a_loss_under_autocast_is_not_rounded(model, rows):
    batch = rows.batch([0, 1])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model(batch).dtype == torch.float32


CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("wanted", "device", "capability", "products"),
    [
        ("auto", CPU, None, None),
        ("float32", CPU, None, None),
        ("bfloat16", CPU, None, torch.bfloat16),
        ("auto", GPU, (9, 0), torch.bfloat16),
        ("auto", GPU, (7, 5), None),
        ("float32", GPU, (9, 0), None),
        ("bfloat16", GPU, (8, 0), torch.bfloat16),
    ],
)
def test_products_are_bfloat16_where_a_gpu_has_it(wanted, device, capability, products, monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Tesla T4")
    assert product_dtype(wanted, device) == products


def test_a_gpu_without_bfloat16_is_told(monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Tesla T4")
    with pytest.raises(TrainingError, match=r"Tesla T4 \(compute capability 7.5\) is too old for bfloat16") as caught:
        product_dtype("bfloat16", GPU)
    assert "Use precision: float32." in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_touches_no_weight(model, rows, value):
    set_stage(model, STAGES["finetune"])
    optimiser = make_optimiser(model, StageSection(steps=1))
    with torch.no_grad():
        model.backbone.head.bias[0] = value
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(NotFiniteError, match=f"the loss is (nan|{value})"):
        optimiser_step(model, [rows.batch([0, 1])], optimiser, 1.0)
    after = model.state_dict()
    assert all(torch.equal(before[n].nan_to_num(7), after[n].nan_to_num(7)) for n in before)


def test_a_gradient_that_is_not_finite_is_named(model, rows):
    set_stage(model, STAGES["finetune"])
    optimiser = make_optimiser(model, StageSection(steps=1))
    model.projector.linear.weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(NotFiniteError, match=r"gradient is nan \(in projector.linear.weight\) at a loss of"):
        optimiser_step(model, [rows.batch([0, 1])], optimiser, None)


def test_clipping_scales_the_step_and_reports_the_norm_before(model, rows):
    set_stage(model, STAGES["finetune"])
    optimiser = make_optimiser(model, StageSection(steps=1))
    outcome = optimiser_step(model, [rows.batch([0, 1])], optimiser, 1e-3)
    clipped = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert outcome.grad_norm > 0.01
    assert clipped.item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("stage", "learning"),
    [
        ("align", {"projector"}),
        ("finetune", {"projector", "fusion", "backbone"}),
        ("full_finetune", {"projector", "fusion", "backbone", "vision_encoder"}),
    ],
)
def test_frozen_parts_see_no_gradient_and_stand_in_eval_mode(model, source, image_rows, stage, learning):
    set_stage(model, STAGES[stage])
    accumulate(model, [image_rows])
    for kind, part in model.parts().items():
        assert part.training == (kind in learning), kind
        assert all((p.grad is not None) == (kind in learning) for p in part.parameters()), kind


@pytest.fixture
def image_rows(model, source):
    rows = [model.processor.row(row.turns, [source.image(row.images[0])]) for row in source.rows[:4]]
    return model.processor.collate(rows)
