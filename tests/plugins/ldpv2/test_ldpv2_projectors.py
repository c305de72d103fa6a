from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from cobra_kit.errors import ShapeError
from cobra_kit.interfaces import TokenShape, VisualTokens
from cobra_kit_ldpv2.config import FusedConfig, MobileVlmConfig, PlainConfig
from cobra_kit_ldpv2.plugin import cobra_projectors
from cobra_kit_ldpv2.projector import FusedLdpV2, PlainLdpV2

VARIANTS: list[tuple[type[Any], Any]] = [
    (FusedLdpV2, FusedConfig()),
    (PlainLdpV2, PlainConfig()),
    (PlainLdpV2, MobileVlmConfig(grid=(2, 3))),
]
GRIDS = [(8, 8), (8, 6), (7, 5), (3, 9)]


def shape_of(rows: int, columns: int) -> TokenShape:
    return TokenShape(rows * columns, (rows, columns))


def build(cls: type[Any], config: Any, grid: tuple[int, int] = (8, 8), seed: int = 0) -> Any:
    projector = cls(config, in_width=5, max_shape=shape_of(*grid), out_width=6)
    projector.reset_parameters(torch.Generator().manual_seed(seed))
    return projector


def noise(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(1))


def position_of(row: int, column: int, columns: int) -> int:
    return row * columns + column


def by_hand(state: dict[str, Tensor], values: Tensor, grid: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Position by position, with loops: the definition of adaptive windows and of a padded 3 x 3 filter."""
    hidden = F.gelu(values @ state["projector.0.weight"].T + state["projector.0.bias"])
    features = hidden @ state["projector.2.weight"].T + state["projector.2.bias"]
    rows, columns = target
    pooled = torch.empty(len(values), rows * columns, features.shape[-1])
    for row in range(rows):
        for column in range(columns):
            top, bottom = math.floor(row * grid[0] / rows), math.ceil((row + 1) * grid[0] / rows)
            left, right = math.floor(column * grid[1] / columns), math.ceil((column + 1) * grid[1] / columns)
            window = [position_of(r, c, grid[1]) for r in range(top, bottom) for c in range(left, right)]
            pooled[:, position_of(row, column, columns)] = features[:, window].mean(1)
    out = pooled + state["projector.4.peg.0.bias"]
    for row in range(rows):
        for column in range(columns):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    if 0 <= row + i < rows and 0 <= column + j < columns:
                        weight = state["projector.4.peg.0.weight"][:, 0, i + 1, j + 1]
                        neighbour = pooled[:, position_of(row + i, column + j, columns)]
                        out[:, position_of(row, column, columns)] += weight * neighbour
    return out


@pytest.mark.parametrize(("cls", "config"), VARIANTS)
@pytest.mark.parametrize("grid", GRIDS)
class TestAgainstOtherFormulations:
    def test_equals_the_definition_by_hand(self, cls: type[Any], config: Any, grid: tuple[int, int]) -> None:
        projector, values = build(cls, config, grid), noise(3, grid[0] * grid[1], 5)
        out = projector(VisualTokens(values, (shape_of(*grid),) * 3))
        assert set(out.shapes) == {cls.output_shape(config, shape_of(*grid))}
        expected = by_hand(projector.state_dict(), values, grid, out.shapes[0].grid)
        torch.testing.assert_close(out.values, expected, rtol=1e-5, atol=1e-6)

    def test_equals_torchs_own_pooling_and_convolution(
        self, cls: type[Any], config: Any, grid: tuple[int, int]
    ) -> None:
        projector, values = build(cls, config, grid), noise(2, grid[0] * grid[1], 5)
        out = projector(VisualTokens(values, (shape_of(*grid),) * 2))
        state = projector.state_dict()
        features = F.linear(values, state["projector.0.weight"], state["projector.0.bias"])
        features = F.linear(F.gelu(features), state["projector.2.weight"], state["projector.2.bias"])
        image = features.permute(0, 2, 1).reshape(2, 6, *grid)
        pooled = F.adaptive_avg_pool2d(image, out.shapes[0].grid)
        weight, bias = state["projector.4.peg.0.weight"], state["projector.4.peg.0.bias"]
        expected = pooled + F.conv2d(pooled, weight, bias, padding=1, groups=6)
        torch.testing.assert_close(out.values, expected.flatten(2).permute(0, 2, 1))


@pytest.mark.parametrize(("cls", "config"), VARIANTS)
class TestEveryLdpV2:
    def test_each_image_of_a_batch_stands_alone(self, cls: type[Any], config: Any) -> None:
        projector, values, shape = build(cls, config), noise(3, 64, 5), shape_of(8, 8)
        together = projector(VisualTokens(values, (shape,) * 3)).values
        alone = [projector(VisualTokens(values[i : i + 1], (shape,))).values for i in range(3)]
        torch.testing.assert_close(together, torch.cat(alone))

    def test_a_seed_gives_what_torch_gives_after_manual_seed(self, cls: type[Any], config: Any) -> None:
        hidden = 20 if cls is FusedLdpV2 else 6
        with torch.random.fork_rng():
            torch.manual_seed(5)
            layers: list[Any] = [nn.Linear(5, hidden), nn.Linear(hidden, 6), nn.Conv2d(6, 6, 3, padding=1, groups=6)]
        drawn = build(cls, config, seed=5).state_dict()
        for prefix, layer in zip(("projector.0", "projector.2", "projector.4.peg.0"), layers, strict=True):
            assert torch.equal(drawn.pop(f"{prefix}.weight"), layer.weight)
            assert torch.equal(drawn.pop(f"{prefix}.bias"), layer.bias)
        assert not drawn

    def test_the_authors_seed_is_the_width_of_the_visual_tokens(self, cls: type[Any], config: Any) -> None:
        hidden = 20 if cls is FusedLdpV2 else 6
        with torch.random.fork_rng():
            torch.manual_seed(5)
            layers: list[Any] = [nn.Linear(5, hidden), nn.Linear(hidden, 6), nn.Conv2d(6, 6, 3, padding=1, groups=6)]
        for seed in (0, 1):
            drawn = build(cls, config.model_copy(update={"init": "authors"}), seed=seed).state_dict()
            for prefix, layer in zip(("projector.0", "projector.2", "projector.4.peg.0"), layers, strict=True):
                assert torch.equal(drawn[f"{prefix}.weight"], layer.weight)
                assert torch.equal(drawn[f"{prefix}.bias"], layer.bias)

    def test_from_the_meta_device_every_value_is_set(self, cls: type[Any], config: Any) -> None:
        with torch.device("meta"):
            projector = cls(config, in_width=5, max_shape=shape_of(8, 8), out_width=6)
        projector.to_empty(device="cpu")
        for tensor in projector.state_dict().values():
            tensor.fill_(float("nan"))
        projector.reset_parameters(torch.Generator().manual_seed(0))
        expected = build(cls, config).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in projector.state_dict().items())
        assert all(value.isfinite().all() for value in expected.values())

    def test_settings_are_described_and_tiny_builds(self, cls: type[Any], config: Any) -> None:
        assert all(field.description for field in type(config).model_fields.values())
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            type(config)(in_width=5)
        out = build(cls, type(config).tiny())(VisualTokens(noise(1, 64, 5), (shape_of(8, 8),)))
        assert out.values.shape == (1, out.shapes[0].num_tokens, 6)

    def test_gradients_reach_every_parameter(self, cls: type[Any], config: Any) -> None:
        projector = build(cls, config)
        projector(VisualTokens(noise(1, 64, 5), (shape_of(8, 8),))).values.square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in projector.parameters())


@pytest.mark.parametrize("grid", [(8, 6), (6, 8)])
def test_one_hot_pixel_lands_in_its_own_window(grid: tuple[int, int]) -> None:
    """With identity layers and a silent convolution only the window over the pixel may light up."""
    projector = build(PlainLdpV2, PlainConfig(), grid)
    with torch.no_grad():
        for parameter in projector.parameters():
            parameter.zero_()
        projector.projector["0"].weight[0, 0] = projector.projector["2"].weight[0, 0] = 1
    for row in range(grid[0]):
        for column in range(grid[1]):
            values = torch.zeros(1, grid[0] * grid[1], 5)
            values[0, row * grid[1] + column, 0] = 1
            out = projector(VisualTokens(values, (shape_of(*grid),))).values[0]
            rows, columns = grid[0] // 2, grid[1] // 2
            assert out[:, 0].reshape(rows, columns).nonzero().tolist() == [[row // 2, column // 2]]
            assert (out[:, 1:] == 0).all()


def test_the_convolution_looks_below_and_to_the_right_as_its_filter_says() -> None:
    projector = build(PlainLdpV2, PlainConfig(grid=(4, 5)), (4, 5))
    with torch.no_grad():
        for parameter in projector.parameters():
            parameter.zero_()
        projector.projector["0"].weight[0, 0] = projector.projector["2"].weight[0, 0] = 1
        projector.projector["4"].peg[0].weight[0, 0, 2, 1] = 1  # the neighbour below
    values = torch.zeros(1, 20, 5)
    values[0, 2 * 5 + 3, 0] = 1
    out = projector(VisualTokens(values, (shape_of(4, 5),))).values[0, :, 0].reshape(4, 5)
    assert out.nonzero().tolist() == [[1, 3], [2, 3]]


@pytest.mark.parametrize(
    ("config", "grid", "pooled"),
    [
        (FusedConfig(), (27, 27), (14, 14)),
        (PlainConfig(), (8, 8), (4, 4)),
        (PlainConfig(), (8, 6), (4, 3)),
        (PlainConfig(), (1, 1), (1, 1)),
        (MobileVlmConfig(), (24, 24), (12, 12)),
        (MobileVlmConfig(), (27, 27), (12, 12)),
        (PlainConfig(grid=(2, 5)), (8, 6), (2, 5)),
    ],
)
def test_pooled_grids(config: PlainConfig, grid: tuple[int, int], pooled: tuple[int, int]) -> None:
    assert PlainLdpV2.output_shape(config, shape_of(*grid)) == shape_of(*pooled)


@given(rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_half_of_each_side_is_rounded_up(rows: int, columns: int) -> None:
    grid = PlainLdpV2.output_shape(PlainConfig(), shape_of(rows, columns)).grid
    assert grid == (math.ceil(rows / 2), math.ceil(columns / 2))


@pytest.mark.parametrize(
    ("cls", "config", "count"), [(FusedLdpV2, FusedConfig(), 41_259_008), (PlainLdpV2, MobileVlmConfig(), 12_154_880)]
)
def test_parameter_counts_at_the_papers_sizes(cls: type[Any], config: Any, count: int) -> None:
    with torch.device("meta"):
        projector = cls(config, in_width=2176, max_shape=shape_of(27, 27), out_width=2560)
    assert sum(p.numel() for p in projector.parameters()) == count


@pytest.mark.parametrize(
    ("cls", "config", "in_width", "side", "out_width", "count", "tokens"),
    [
        (FusedLdpV2, FusedConfig(), 2176, 27, 2560, 41_259_008, 196),  # Cobra's ablation
        (PlainLdpV2, PlainConfig(), 1152, 27, 2560, 9_533_440, 196),
        (PlainLdpV2, MobileVlmConfig(), 1024, 24, 2560, 9_205_760, 144),  # MobileVLM V2 3B
    ],
)
def test_full_sizes_on_the_meta_device(
    cls: type[Any], config: Any, in_width: int, side: int, out_width: int, count: int, tokens: int
) -> None:
    with torch.device("meta"):
        projector = cls(config, in_width=in_width, max_shape=shape_of(side, side), out_width=out_width)
    assert sum(p.numel() for p in projector.parameters()) == count
    assert cls.output_shape(config, shape_of(side, side)).num_tokens == tokens


def test_one_projector_takes_images_of_several_shapes() -> None:
    projector = build(FusedLdpV2, FusedConfig(), (8, 8))
    for grid in [(4, 6), (8, 8)]:
        out = projector(VisualTokens(noise(1, grid[0] * grid[1], 5), (shape_of(*grid),)))
        assert out.shapes == (shape_of(grid[0] // 2, grid[1] // 2),)


def test_tokens_without_a_grid_are_refused() -> None:
    with pytest.raises(
        ShapeError,
        match=r"pools a grid of tokens; these 64 have none \(they come from a resampler\)\n +Take .* mlp/fused",
    ):
        PlainLdpV2.output_shape(PlainConfig(), TokenShape(64))


def test_a_grid_smaller_than_asked_for_is_refused_at_construction() -> None:
    message = r"cannot pool 8 x 16 tokens to 12 x 12, which are more\n +Set the projector's `grid` to fewer"
    with pytest.raises(ShapeError, match=message):
        PlainLdpV2(MobileVlmConfig(), in_width=5, max_shape=shape_of(8, 16), out_width=6)


def test_a_grid_of_no_rows_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"grid\.0\n +Input should be greater than 0"):
        PlainConfig(grid=(0, 3))


def test_the_plugin_declares_three_projectors_without_torch() -> None:
    assert [spec.name for spec in cobra_projectors()] == ["fused", "plain", "mobilevlm"]
    code = "import sys, cobra_kit_ldpv2.plugin, cobra_kit_ldpv2.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
