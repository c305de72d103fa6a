"""Every Triton kernel compiled for GPUs that are not here, to the last step: the interpreter cannot say that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton")

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from cobra_kit_mamba.triton_kernels import conv, norm, scan_backward, scan_forward, step

CONSTANTS = {
    **{"HAS_D": True, "HAS_Z": True, "HAS_BIAS": True, "HAS_STARTS": True, "HAS_BEGINS": True, "HAS_INITIAL": True},
    **{"HAS_LAST": True, "HAS_BEFORE": True, "HAS_ADDED": True, "HAS_TOTAL": True, "REVERSE": True, "LOG_A": True},
    **{"GROUP": 4, "CHUNK": 16, "TAPS": 4, "BLOCK_TAPS": 4, "BLOCK_T": 16, "BLOCK": 4096},
}
KERNELS = {
    "local_states": (scan_forward.local_states, {"BLOCK_D": 64, "BLOCK_N": 16}, 1),
    "carried_states": (scan_forward.carried_states, {"BLOCK_D": 64, "GROUP": 8}, 2),
    "outputs": (scan_forward.outputs, {"BLOCK_D": 64, "BLOCK_N": 16}, 1),
    "outputs of 256 states": (scan_forward.outputs, {"BLOCK_D": 32, "BLOCK_N": 256}, 8),
    "chunk_sums": (scan_backward.chunk_sums, {"BLOCK_D": 32, "BLOCK_N": 16}, 1),
    "gradients": (scan_backward.gradients, {"BLOCK_D": 128}, 4),
    "scan_step": (step.scan_step, {"BLOCK_D": 32, "BLOCK_N": 16}, 2),
    "conv_step": (step.conv_step, {"BLOCK_D": 64}, 2),
    "conv_forward": (conv.conv_forward, {"BLOCK_D": 128}, 4),
    "conv_backward": (conv.conv_backward, {"BLOCK_D": 128}, 4),
    "norm_forward": (norm.norm_forward, {}, 8),
    "norm_backward": (norm.norm_backward, {}, 8),
}
STORED = {"u", "B", "C", "z", "y", "x", "dx", "du", "dz", "out", "grad_y", "added", "weight", "before", "dbefore"}
FLOATS = {"dt", "ddt", "A", "D", "bias", "states", "grads", "sums", "initial", "last", "begins", "arrives", "state"}
FLOATS |= {"dA", "dB", "dC", "dD", "dbias", "dweight", "total", "rstd", "grad_total"}


def compiled(name: str, capability: int, stored: str = "*bf16") -> Any:
    """Returns a kernel for a GPU, as the launcher would specialise it for dense tensors."""
    kernel, sizes, warps = KERNELS[name]
    constants = {**CONSTANTS, **sizes}
    constants = {key: value for key, value in constants.items() if key in kernel.arg_names}
    loose = {parameter.name for parameter in kernel.params if parameter.do_not_specialize}
    signature, attributes = {}, {}
    for i, argument in enumerate(kernel.arg_names):
        if argument in constants:
            signature[argument] = "constexpr"
        elif argument in ("starts", "fresh"):
            signature[argument] = "*u8"
        elif argument in STORED or argument in FLOATS:
            signature[argument] = stored if argument in STORED else "*fp32"
            attributes[(i,)] = [["tt.divisibility", 16]]
        elif argument == "eps":
            signature[argument] = "fp32"
        else:
            signature[argument] = "i32"
            if argument not in loose and argument.startswith("s_"):
                attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": warps})


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize("name", ["scan_step", "conv_step"])
def test_the_steps_compile(name: str) -> None:
    assert compiled(name, 80).asm["cubin"]


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("name", list(KERNELS))
def test_every_kernel_compiles(name: str, capability: int) -> None:
    assert compiled(name, capability).asm["cubin"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scan_step", "outputs", "gradients", "conv_forward"])
def test_kernels_compile_for_a_gpu_without_bfloat16(name: str) -> None:
    assert compiled(name, 75, stored="*fp16").asm["cubin"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local_states", "outputs", "carried_states"])
def test_no_recurrence_leaves_its_thread(name: str) -> None:
    """The layout that `elementwise.py` describes: else sums over states would go through other threads."""
    kernel = compiled(name, 90)
    assert kernel.metadata.shared == 0
    assert "shfl" not in kernel.asm["ptx"]
    assert "bar.sync" not in kernel.asm["ptx"]
