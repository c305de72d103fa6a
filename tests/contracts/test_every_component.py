"""What every registered component must keep, ours and a stranger's alike, on its config's `tiny()`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cobra_kit._plugins import Component, Registry
from cobra_kit.interfaces import PretrainedFile, TokenShape

TOY = Path(__file__).parents[1] / "toy_plugin.py"
COMPONENTS = Registry.discover(files=[TOY]).components()
FINISHED = [c for c in COMPONENTS if not c.spec.unfinished]
DIMENSIONS = {
    "vision_encoder": {},
    "backbone": {},
    "fusion": {"hidden_size": 32},
    "projector": {"in_width": 24, "max_shape": TokenShape(576, (24, 24)), "out_width": 32},
}


def named(component: Component) -> str:
    return component.qualified


def build(component: Component) -> torch.nn.Module:
    cls, config = component.load_class(), component.load_config().tiny()
    with torch.device("meta"):
        return cls(config, **DIMENSIONS[component.kind])


def filled_with_nan(component: Component) -> torch.nn.Module:
    module = build(component).to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.fill_(torch.nan)
    return module


@pytest.mark.parametrize("component", COMPONENTS, ids=named)
def test_configs_forbid_unknown_keys_and_describe_every_field(component):
    config = component.load_config()
    assert config.model_config.get("extra") == "forbid"
    undescribed = [name for name, field in config.model_fields.items() if not field.description]
    assert undescribed == []


@pytest.mark.parametrize("component", FINISHED, ids=named)
def test_the_tiny_config_is_tiny_and_costs_nothing_on_meta(component):
    module = build(component)
    assert all(parameter.is_meta for parameter in module.parameters())
    assert sum(parameter.numel() for parameter in module.parameters()) < 1_500_000


@pytest.mark.parametrize("component", FINISHED, ids=named)
def test_reset_gives_every_tensor_a_value_that_depends_on_the_seed_only(component):
    states = []
    for _ in range(2):
        module = filled_with_nan(component)
        module.reset_parameters(torch.Generator().manual_seed(11))
        states.append({name: tensor.clone() for name, tensor in (*module.named_parameters(), *module.named_buffers())})
    for name, tensor in states[0].items():
        assert torch.isfinite(tensor).all(), name
        assert torch.equal(tensor, states[1][name]), name


@pytest.mark.parametrize("component", FINISHED, ids=named)
def test_published_names_are_one_to_one_with_the_tensors(component):
    module = build(component)
    published = module.published_names()
    assert set(published) == set(module.state_dict())
    assert len(set(published.values())) == len(published)


@pytest.mark.parametrize("component", FINISHED, ids=named)
def test_the_files_of_its_weights_are_named_without_building_anything(component):
    files = component.load_class().pretrained_files(component.load_config().tiny())
    assert all(isinstance(file, PretrainedFile) for file in files)


@pytest.mark.parametrize("component", COMPONENTS[:1], ids=named)
def test_what_is_not_finished_says_so(component):
    from cobra_kit.errors import NotFinishedError

    component = replace(component, spec=replace(component.spec, unfinished="use another until then"))
    with pytest.raises(NotFinishedError) as caught:
        component.load_class()
    assert component.qualified in str(caught.value)
    assert component.spec.unfinished in str(caught.value)
