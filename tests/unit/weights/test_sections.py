"""A training checkpoint holds more than weights; what is none of them is left out, and said."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
import torch
from torch import nn

from cobra_kit.errors import WeightsError
from cobra_kit.weights import load_into, load_tensors
from cobra_kit.weights.reading import read_checkpoint


def optimiser_state(module: nn.Module) -> dict[str, Any]:
    optimiser = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    return optimiser.state_dict()


@pytest.fixture
def linear() -> nn.Linear:
    return nn.Linear(2, 2)


@pytest.mark.parametrize("section", ["model", "state_dict", "model_state_dict", "module"])
def test_weights_beside_what_a_trainer_keeps(tmp_path, linear, section, caplog):
    optimiser = optimiser_state(linear)
    tree = {
        section: linear.state_dict(),
        "optimizer": optimiser,
        "optimizer_states": [optimiser],
        "ema": linear.state_dict(),
        "rng_state": torch.get_rng_state(),
        "epoch": 3,
        "global_step": torch.tensor(7),
        "lr_scheduler": {"base_lrs": [0.1]},
    }
    torch.save(tree, tmp_path / "x.pt")
    read = read_checkpoint(tmp_path / "x.pt")
    assert sorted(read.weights) == [f"{section}.bias", f"{section}.weight"]
    assert read.left_out == {"optimizer": 6, "optimizer_states": 6, "ema": 2, "rng_state": 1, "global_step": 1}
    assert list(load_tensors(tmp_path / "x.pt")) == list(read.weights)
    assert "left out: optimizer (6 tensors)" in caplog.text
    empty = nn.Linear(2, 2)
    load_into(empty, read.weights, source="x")
    assert torch.equal(empty.weight, linear.weight)


def test_without_a_known_section_only_the_state_of_a_training_is_no_weight(tmp_path, linear):
    tree = {
        "projector": linear.state_dict(),
        "trained_by": optimiser_state(linear),
        "lr_scheduler": {"last": torch.ones(1)},
        "step": torch.tensor(3),
    }
    torch.save(tree, tmp_path / "x.pt")
    read = read_checkpoint(tmp_path / "x.pt")
    assert sorted(read.weights) == ["projector.bias", "projector.weight"]
    assert read.left_out == {"trained_by": 6, "lr_scheduler": 1, "step": 1}


def test_a_module_named_step_keeps_its_weights(tmp_path):
    torch.save({"step": torch.ones(2), "step_size": torch.tensor(1.0)}, tmp_path / "x.pt")
    assert sorted(load_tensors(tmp_path / "x.pt")) == ["step", "step_size"]


def test_two_sections_of_weights_are_refused(tmp_path, linear):
    torch.save({"model": linear.state_dict(), "state_dict": linear.state_dict()}, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="two sections of the checkpoint could be the weights: 'model' and 'state_"):
        load_tensors(tmp_path / "x.pt")


def test_an_optimiser_alone_holds_no_weights(tmp_path, linear):
    torch.save({"optimizer": optimiser_state(linear)}, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="holds no named tensors but a dict beside optimizer"):
        load_tensors(tmp_path / "x.pt")


def test_objects_beside_the_weights_are_refused_with_the_way_out(tmp_path, linear):
    torch.save({"model": linear.state_dict(), "args": argparse.Namespace(lr=1)}, tmp_path / "x.pt")
    with pytest.raises(WeightsError) as caught:
        load_tensors(tmp_path / "x.pt")
    assert "refused: this pickle asks for argparse.Namespace" in str(caught.value)
    assert "torch.save(torch.load(FILE, weights_only=False)['model'], NEW)" in str(caught.value)


@pytest.mark.parametrize("prefix", ["module.", "state_dict.model.", "model.module.net."])
def test_what_stands_before_every_name_is_taken_off(linear, prefix):
    empty = nn.Linear(2, 2)
    load_into(empty, {prefix + name: value for name, value in linear.state_dict().items()}, source="x")
    assert torch.equal(empty.weight, linear.weight)


def test_a_prefix_of_some_names_is_not_taken_off(linear):
    tensors = {"module.weight": linear.weight, "bias": linear.bias}
    with pytest.raises(WeightsError, match=r"1 missing: weight\n.*1 extra: module\.weight"):
        load_into(nn.Linear(2, 2), tensors, source="x")
