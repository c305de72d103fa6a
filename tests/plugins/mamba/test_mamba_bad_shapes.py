"""Tensors that do not belong together are refused by name before a kernel reads past their ends."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from mamba_checks import build, sequence
from torch import Tensor

from cobra_kit.errors import ShapeError
from cobra_kit_mamba.backbone import MambaBackbone
from cobra_kit_mamba.block import RMSNorm
from cobra_kit_mamba.config import MambaTinyConfig
from cobra_kit_mamba.conv import causal_conv_silu, conv_silu_step
from cobra_kit_mamba.scan import selective_scan, selective_step

SCAN = {"u": (2, 5, 8), "dt": (2, 5, 8), "A": (8, 4), "B": (2, 5, 4), "C": (2, 5, 4), "D": (8,), "z": (2, 5, 8)}
SCAN |= {"dt_bias": (8,), "initial_state": (2, 8, 4), "starts": (2, 5)}
SCAN_STEP = {"state": (2, 8, 4), "u": (2, 8), "dt": (2, 8), "A": (8, 4), "B": (2, 4), "C": (2, 4)}
SCAN_STEP |= {"D": (8,), "z": (2, 8), "dt_bias": (8,)}
CONV = {"x": (2, 5, 8), "weight": (8, 4), "bias": (8,), "before": (2, 3, 8), "starts": (2, 5)}
CONV_STEP = {"state": (2, 8, 4), "x": (2, 8), "weight": (8, 4), "bias": (8,)}

CALLS = [
    ("the scan", "u", selective_scan, SCAN),
    ("the scan's step", "u", selective_step, SCAN_STEP),
    ("the convolution", "x", causal_conv_silu, CONV),
    ("the convolution's step", "x", conv_silu_step, CONV_STEP),
]
CASES = [(*call, name) for call in CALLS for name in call[3] if name != call[1]]


def given(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    tensors = {name: torch.randn(shape) for name, shape in shapes.items()}
    return tensors | ({"starts": torch.zeros(2, 5, dtype=torch.bool)} if "starts" in shapes else {})


@pytest.mark.parametrize(("what", "first", "call", "shapes", "name"), CASES)
def test_a_tensor_of_another_shape(what, first, call, shapes, name) -> None:  # type: ignore[no-untyped-def]
    tensors = given(shapes)
    call(**tensors)
    axis = -1 if name == "A" else 0  # more states change nothing else's shape but what is compared with them
    tensors[name] = torch.cat([tensors[name]] * 2, dim=axis)
    with pytest.raises(ShapeError, match=rf"\w+ of {what} must be \[.*\], not \[.*\]"):
        call(**tensors)


@pytest.mark.parametrize(("what", "first", "call", "shapes", "name"), CASES)
def test_a_tensor_on_another_device(what, first, call, shapes, name) -> None:  # type: ignore[no-untyped-def]
    tensors = given(shapes)
    tensors[name] = tensors[name].to("meta")
    with pytest.raises(ShapeError, match=re.escape(f"{name} of {what} is on meta, but {first} is on cpu")):
        call(**tensors)


def test_the_norm() -> None:
    norm = RMSNorm(8, 1e-5)
    with pytest.raises(ShapeError, match=re.escape("x of the norm must be [2, 8], not [2, 9]")):
        norm(torch.randn(2, 9))
    with pytest.raises(ShapeError, match=re.escape("what is added of the norm must be [2, 8], not [1, 8]")):
        norm(torch.randn(2, 8), torch.randn(1, 8))
    with pytest.raises(ShapeError, match="x of the norm is on meta, but its weight is on cpu"):
        norm(torch.randn(2, 8, device="meta"))


@pytest.fixture(scope="module")
def model() -> MambaBackbone:
    return build(MambaTinyConfig(vocab_size=64))


def test_a_model_elsewhere(model: MambaBackbone) -> None:
    here = sequence(torch.randn(1, 3, 128))
    with pytest.raises(ShapeError, match="the model is on cpu, but the embeddings are on meta"):
        model(replace(here, embeddings=here.embeddings.to("meta")))
    layout = replace(here.layout, segment_ids=here.layout.segment_ids.to("meta"))
    with pytest.raises(ShapeError, match="the layout is on meta, but the embeddings are on cpu"):
        model(replace(here, layout=layout))
    state = model.new_state(1, 8, device=torch.device("meta"), dtype=torch.float32)
    with pytest.raises(ShapeError, match="the state is on meta, but the embeddings are on cpu"):
        model(here, state)
    with pytest.raises(ShapeError, match="is on meta, but x is on cpu"):
        model.step(torch.randn(1, 128), state)
