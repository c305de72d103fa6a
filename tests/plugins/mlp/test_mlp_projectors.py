from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from cobra_kit.interfaces import TokenShape, VisualTokens
from cobra_kit_mlp.config import FusedConfig, GeluConfig, LinearConfig
from cobra_kit_mlp.plugin import cobra_projectors
from cobra_kit_mlp.projector import FusedProjector, GeluProjector, LinearProjector

GRID = TokenShape(6, (2, 3))
PROJECTORS: list[tuple[type[Any], Any]] = [
    (LinearProjector, LinearConfig()),
    (GeluProjector, GeluConfig()),
    (FusedProjector, FusedConfig()),
]


def build(cls: type[Any], config: Any, in_width: int = 5, out_width: int = 7, seed: int = 0) -> Any:
    projector = cls(config, in_width=in_width, max_shape=GRID, out_width=out_width)
    projector.reset_parameters(torch.Generator().manual_seed(seed))
    return projector


def plain(cls: type[Any], in_width: int, out_width: int) -> nn.Module:
    """The same layers, written out for this test alone (PAPER.md 1.3)."""
    if cls is LinearProjector:
        return nn.Linear(in_width, out_width)
    if cls is GeluProjector:
        return nn.Sequential(nn.Linear(in_width, out_width), nn.GELU(), nn.Linear(out_width, out_width))
    return nn.Sequential(
        nn.Linear(in_width, 4 * in_width),
        nn.GELU(),
        nn.Linear(4 * in_width, out_width),
        nn.GELU(),
        nn.Linear(out_width, out_width),
    )


@pytest.mark.parametrize(("cls", "config"), PROJECTORS)
class TestEveryMlp:
    def test_equals_the_plain_layers_with_the_same_weights(self, cls: type[Any], config: Any) -> None:
        projector, reference = build(cls, config), plain(cls, 5, 7)
        reference.load_state_dict({n.removeprefix("projector."): t for n, t in projector.state_dict().items()})
        values = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(1))
        out = projector(VisualTokens(values, (GRID,) * 4))
        torch.testing.assert_close(out.values, reference(values))
        assert out.shapes == (GRID,) * 4

    def test_a_seed_gives_what_torch_gives_after_manual_seed(self, cls: type[Any], config: Any) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            reference = plain(cls, 5, 7).state_dict()
        drawn = build(cls, config, seed=5).state_dict()
        assert drawn.keys() == {f"projector.{name}" for name in reference}
        assert all(torch.equal(drawn[f"projector.{name}"], value) for name, value in reference.items())

    def test_the_authors_seed_is_the_width_of_the_visual_tokens(self, cls: type[Any], config: Any) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            reference = plain(cls, 5, 7).state_dict()
        for seed in (0, 1):
            drawn = build(cls, type(config)(init="authors"), seed=seed).state_dict()
            assert all(torch.equal(drawn[f"projector.{name}"], value) for name, value in reference.items())

    def test_from_the_meta_device_every_value_is_set_and_depends_on_the_generator_alone(
        self, cls: type[Any], config: Any
    ) -> None:
        def filled(seed: int) -> dict[str, torch.Tensor]:
            with torch.device("meta"):
                projector = cls(config, in_width=5, max_shape=GRID, out_width=7)
            projector.to_empty(device="cpu")
            for tensor in projector.state_dict().values():
                tensor.fill_(float("nan"))
            projector.reset_parameters(torch.Generator().manual_seed(seed))
            state: dict[str, torch.Tensor] = projector.state_dict()
            return state

        first, again, other = filled(1), filled(1), filled(2)
        assert all(value.isfinite().all() for value in first.values())
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert not any(torch.equal(first[name], other[name]) for name in first)

    def test_without_a_generator_torchs_own_is_used(self, cls: type[Any], config: Any) -> None:
        projector = cls(config, in_width=5, max_shape=GRID, out_width=7)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            projector.reset_parameters()
        expected = build(cls, config, seed=3).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in projector.state_dict().items())

    def test_tokens_and_images_do_not_see_each_other(self, cls: type[Any], config: Any) -> None:
        projector = build(cls, config)
        values = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
        projector(VisualTokens(values, (GRID, GRID))).values[1, 4].sum().backward()
        assert values.grad is not None
        touched = values.grad.abs().sum(-1) > 0
        assert touched.nonzero().tolist() == [[1, 4]]

    def test_any_shape_passes_with_or_without_a_grid(self, cls: type[Any], config: Any) -> None:
        assert cls.output_shape(config, TokenShape(64)) == TokenShape(64)
        assert cls.output_shape(config, GRID) == GRID

    def test_unknown_settings_are_refused_and_tiny_builds(self, cls: type[Any], config: Any) -> None:
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            type(config)(in_width=5)
        assert all(field.description for field in type(config).model_fields.values())
        build(cls, type(config).tiny())


def test_an_unknown_init_is_refused() -> None:
    with pytest.raises(ValidationError, match="'recipe' or 'authors'"):
        FusedConfig.model_validate({"init": "zeros"})


@pytest.mark.parametrize(
    ("cls", "config", "in_width", "count"),
    [
        (FusedProjector, FusedConfig(), 2176, 47_789_568),
        (GeluProjector, GeluConfig(), 1152, 9_507_840),
        (LinearProjector, LinearConfig(), 2176, 5_573_120),
    ],
)
def test_parameter_counts_of_the_paper(cls: type[Any], config: Any, in_width: int, count: int) -> None:
    with torch.device("meta"):
        projector = cls(config, in_width=in_width, max_shape=TokenShape(729, (27, 27)), out_width=2560)
    assert sum(p.numel() for p in projector.parameters()) == count
    assert cls.output_shape(config, TokenShape(729, (27, 27))).num_tokens == 729


def test_initial_values_fill_their_bounds_evenly() -> None:
    for layer in build(FusedProjector, FusedConfig(), in_width=64, out_width=96).projector[::2]:
        bound = layer.in_features**-0.5
        for values in (layer.weight, layer.bias):
            assert values.abs().max() <= bound
            assert values.abs().max() > 0.9 * bound
        assert abs(layer.weight.mean()) < 0.05 * bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_expansion_changes_the_first_layer_only() -> None:
    projector = build(FusedProjector, FusedConfig(expansion=3))
    assert [tuple(layer.weight.shape) for layer in projector.projector[::2]] == [(15, 5), (7, 15), (7, 7)]
    with pytest.raises(ValidationError, match="greater than 0"):
        FusedConfig(expansion=0)


def test_the_plugin_declares_three_projectors_without_torch() -> None:
    assert [spec.name for spec in cobra_projectors()] == ["linear", "gelu", "fused"]
    code = "import sys, cobra_kit_mlp.plugin, cobra_kit_mlp.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
