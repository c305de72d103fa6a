"""Which kernel a GPU's tensors take and why, with stand-ins for what is not here; the kernels in the interpreter."""

from __future__ import annotations

import builtins
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mamba_checks import build, on_meta, scan_inputs
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from cobra_kit.errors import KernelError
from cobra_kit_mamba import conv, peers, scan, selection, ssd, triton_loader
from cobra_kit_mamba.config import MambaFamilyConfig, MambaTinyConfig
from cobra_kit_mamba.conv_reference import reference_conv
from cobra_kit_mamba.mamba2_config import MambaTwoTinyConfig
from cobra_kit_mamba.peers import Asked
from cobra_kit_mamba.scan_reference import sequential_scan
from cobra_kit_mamba.selection import Choice, choose_conv, choose_dual, choose_norm, choose_scan, choose_step
from cobra_kit_mamba.ssd_reference import sequential_ssd
from cobra_kit_mamba.triton_loader import Loaded

GPU = torch.device("cuda", 0)
FLOAT = torch.float32
HALF = torch.bfloat16


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU the kernels run there, in test_mamba_triton_kernels.py")
@pytest.mark.parametrize("chosen", ["continued or steps or norm", pytest.param("", id="all", marks=pytest.mark.slow)])
def test_kernels_in_the_interpreter(chosen: str) -> None:
    file = Path(__file__).with_name("test_mamba_triton_kernels.py")
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-k", chosen, str(file)]
    done = subprocess.run(command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert all("needs a GPU" in line for line in skipped), skipped
    assert " passed" in done.stdout.splitlines()[-1]


# Choosing


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[tuple[int, int]], None]:
    """A GPU that is said to be there, on which the Triton kernels work; returns how to make it another."""

    def of_capability(capability: tuple[int, int]) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Tesla T4")

    of_capability((9, 0))
    monkeypatch.delenv("COBRA_KIT_MAMBA_KERNEL", raising=False)
    monkeypatch.setattr(selection, "load_triton", lambda device: Loaded(True, "Triton 3 on it"))
    return of_capability


def forget_peers() -> None:
    for function in (peers.scan_function, peers.conv_function, peers.dual_function):
        function.cache_clear()


@pytest.fixture(autouse=True)
def _peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is installed here, nothing is found unless a test puts it there."""
    for name in ("mamba_ssm", "causal_conv1d", "selective_scan_cuda", "causal_conv1d_cuda"):
        monkeypatch.setitem(sys.modules, name, None)
    forget_peers()
    yield
    forget_peers()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Modules of the peers' names whose functions compute by the references; returns the names of those called."""
    called: list[str] = []

    def module(name: str, **functions: Callable[..., Any]) -> None:
        made = ModuleType(name)
        for key, function in functions.items():
            setattr(made, key, function)
        monkeypatch.setitem(sys.modules, name, made)

    def selective_scan_fn(
        u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None, z: Tensor | None = None,
        delta_bias: Tensor | None = None, delta_softplus: bool = False, return_last_state: bool = False,
    ) -> Any:  # fmt: skip
        called.append("selective_scan_fn")
        assert delta_softplus
        assert return_last_state
        assert {t.dtype for t in (A, D, delta_bias) if t is not None} == {FLOAT}
        assert len({t.dtype for t in (u, delta, B, C, z) if t is not None}) == 1
        rows = [None if t is None else t.transpose(1, 2) for t in (u, delta, B, C, z)]
        y, last = sequential_scan(rows[0], rows[1], A, rows[2], rows[3], D, rows[4], delta_bias)
        return y.transpose(1, 2), last

    def causal_conv1d_fn(
        x: Tensor, weight: Tensor, bias: Tensor | None = None, seq_idx: Tensor | None = None,
        initial_states: Tensor | None = None, activation: str | None = None,
    ) -> Tensor:  # fmt: skip
        called.append("causal_conv1d_fn")
        assert activation == "silu"
        assert seq_idx is None or (initial_states is None and seq_idx.dtype == torch.int32)
        before = None if initial_states is None else initial_states.transpose(1, 2)
        starts = None if seq_idx is None else F.pad(seq_idx.diff(dim=1), (1, 0)) != 0
        return reference_conv(x.transpose(1, 2), weight, bias, before, starts).transpose(1, 2)

    def mamba_chunk_scan_combined(
        x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk_size: int, D: Tensor, dt_bias: Tensor,
        initial_states: Tensor | None, seq_idx: Tensor | None, dt_softplus: bool, return_final_states: bool,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        called.append("mamba_chunk_scan_combined")
        assert dt_softplus
        assert return_final_states
        starts = None if seq_idx is None else F.pad(seq_idx.diff(dim=1), (1, 0)) != 0
        wide = [t.float() for t in (x, dt, A, B, C, D, dt_bias)]
        y, last = sequential_ssd(*wide, initial_states, starts)
        return y.to(x.dtype), last

    for name in ("selective_scan_cuda", "causal_conv1d_cuda", "mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.triton"):
        module(name)
    module("mamba_ssm.ops.selective_scan_interface", selective_scan_fn=selective_scan_fn)
    module("mamba_ssm.ops.triton.ssd_combined", mamba_chunk_scan_combined=mamba_chunk_scan_combined)
    module("causal_conv1d", causal_conv1d_fn=causal_conv1d_fn)
    forget_peers()
    return called


@pytest.mark.usefixtures("gpu")
def test_without_peers_a_gpu_takes_triton_and_says_why() -> None:
    for choice, package in (
        (choose_scan(GPU, FLOAT, 16), "mamba_ssm"),
        (choose_conv(GPU, FLOAT, 4), "causal_conv1d"),
    ):
        assert (choice.kernel, choice.remedy) == ("triton", None)
        assert choice.reason == f"Triton 3 on it; {package} is not installed"
    assert choose_norm(GPU, FLOAT, 2560).reason == "Triton 3 on it"
    assert choose_step(GPU, FLOAT, d_state=16, taps=4).kernel == "triton"


@pytest.mark.usefixtures("gpu", "installed")
def test_peers_are_taken_where_they_fit() -> None:
    assert choose_scan(GPU, FLOAT, 16).kernel == "mamba_ssm"
    assert choose_conv(GPU, FLOAT, 4, Asked((HALF,), strides=(16, 32))).kernel == "mamba_ssm"
    assert choose_dual(GPU, Asked((HALF,))).kernel == "mamba_ssm"


@pytest.mark.usefixtures("gpu", "installed")
@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Asked((HALF, FLOAT)), "mamba_ssm's scan takes one dtype, and here are bfloat16, float32"),
        (Asked((FLOAT,), segments=True), "mamba_ssm's scan cannot take segments within rows"),
        (Asked((FLOAT,), carried=True), "mamba_ssm's scan cannot take a state carried in"),
        (Asked((FLOAT,), state_gradient=True), "mamba_ssm's scan has no gradient of the last state"),
    ],
)
def test_what_mamba_ssm_cannot_do_triton_does(asked: Asked, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = choose_scan(GPU, FLOAT, 16, asked)
    assert (choice.kernel, choice.reason) == ("triton", f"Triton 3 on it; {reason}")
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "mamba_ssm")
    with pytest.raises(KernelError, match=rf"mamba_ssm's kernels cannot be used: {reason}\n.*fall back to what fits"):
        choose_scan(GPU, FLOAT, 16, asked)


@pytest.mark.usefixtures("gpu", "installed")
def test_what_causal_conv1d_and_the_dual_form_cannot_do() -> None:
    odd = choose_conv(GPU, FLOAT, 4, Asked((FLOAT,), strides=(20, 40)))
    assert odd.reason.endswith("causal_conv1d takes widths and strides that are multiples of 8")
    assert choose_conv(GPU, FLOAT, 7).reason.endswith("causal_conv1d has no kernel for 7 taps")
    both = choose_conv(GPU, FLOAT, 4, Asked((FLOAT,), segments=True, carried=True))
    assert both.reason.endswith("causal_conv1d cannot take segments and past inputs together")
    assert choose_dual(GPU, Asked((FLOAT,))).reason.endswith("mamba_ssm multiplies float32 in TF32, of 10 bits")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    "error", [ImportError("undefined symbol: _ZN3c10"), RuntimeError("no Mamba-1 kernel\nsee docs")]
)
def test_a_peer_that_does_not_load_is_a_reason(
    installed: list[str], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__
    monkeypatch.delitem(sys.modules, "selective_scan_cuda")

    class Broken:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "selective_scan_cuda":
                raise error

    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    choice = choose_scan(GPU, FLOAT, 16)
    first = str(error).splitlines()[0]
    assert choice.kernel == "triton"
    assert choice.reason == f"Triton 3 on it; mamba_ssm does not load ({type(error).__name__}: {first})"
    assert builtins.__import__ is real


@pytest.mark.usefixtures("gpu", "installed")
def test_a_peer_without_its_extension_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "selective_scan_cuda", None)
    monkeypatch.setattr(peers, "_installed", lambda package: True)
    assert choose_scan(GPU, FLOAT, 16).reason == "Triton 3 on it; mamba_ssm lacks selective_scan_cuda"


def test_a_gpu_too_old_for_bfloat16(gpu: Callable[[tuple[int, int]], None], monkeypatch: pytest.MonkeyPatch) -> None:
    gpu((7, 5))
    choice = choose_scan(GPU, FLOAT, 16, Asked((HALF, FLOAT)))
    assert choice.kernel == "chunked"
    assert choice.reason == "Tesla T4 has compute capability 7.5, and bfloat16 needs 8.0 or higher"
    assert choice.remedy == "use float16 or float32"
    assert choose_scan(GPU, FLOAT, 16, Asked((torch.float16, FLOAT))).kernel == "triton"
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "triton")
    with pytest.raises(KernelError, match=r"needs 8.0 or higher\n.*use float16 or float32, or unset COBRA_KIT"):
        choose_scan(GPU, FLOAT, 16, Asked((HALF, FLOAT)))


@pytest.mark.usefixtures("gpu")
def test_what_triton_cannot_do() -> None:
    assert choose_scan(GPU, torch.float64, 16).reason == "the computation is in float64"
    assert choose_scan(GPU, FLOAT, 257).reason == "d_state 257 is over 256"
    assert choose_conv(GPU, FLOAT, 9).reason == "the number of taps 9 is over 8"
    assert choose_norm(GPU, FLOAT, 20000).reason == "the width 20000 is over 16384"


@pytest.mark.parametrize(
    ("kernel", "device", "message"),
    [
        ("triton", "cpu", "the Triton kernels cannot be used: the tensors are on cpu, for which"),
        ("mamba_ssm", "cpu", "mamba_ssm's kernels cannot be used: the tensors are on cpu, for which"),
        ("native", "cuda", "the C kernels cannot be used: the tensors are on cuda"),
    ],
)
@pytest.mark.usefixtures("gpu")
def test_the_switch_refuses_what_cannot_be_had(
    kernel: str, device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(KernelError, match=message):
        choose_scan(torch.device(device, 0) if device == "cuda" else torch.device(device), FLOAT, 16)


@pytest.mark.usefixtures("gpu", "installed")
def test_mamba_ssm_wanted_leaves_the_rest_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "mamba_ssm")
    assert choose_scan(GPU, FLOAT, 16).kernel == "mamba_ssm"
    assert choose_norm(GPU, FLOAT, 2560).kernel == choose_step(GPU, FLOAT, d_state=16).kernel == "triton"
    monkeypatch.setattr(selection, "load_triton", lambda device: Loaded(False, "no compiler"))
    assert choose_norm(GPU, FLOAT, 2560).kernel == "chunked"


@pytest.mark.usefixtures("gpu")
def test_the_switch_turns_triton_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "chunked")
    assert choose_scan(GPU, FLOAT, 16).kernel == "chunked"


# Loading


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "cobra_kit.mamba"]


def test_a_broken_compiler_costs_one_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from cobra_kit_mamba import triton_check

    def broken(device: torch.device) -> str | None:
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    monkeypatch.setattr(triton_check, "check", broken)
    monkeypatch.setattr(triton_loader, "_loaded", {})
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "auto")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    with caplog.at_level(logging.WARNING):
        choices = [choose_scan(GPU, FLOAT, 16) for _ in range(3)]
    assert {choice.kernel for choice in choices} == {"chunked"}
    remedy = "see that a C compiler is installed (CC names it) and the folder of TRITON_CACHE_DIR is writable"
    reason = "the Triton kernels cannot be compiled or launched (RuntimeError: Please specify via CC)"
    assert (choices[0].reason, choices[0].remedy) == (reason, remedy)
    assert warnings_of(caplog) == [
        f"Mamba runs without its Triton kernels, many times slower: {reason}. Remedy: {remedy}"
    ]


def test_wrong_numbers_cost_one_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from cobra_kit_mamba import triton_check

    monkeypatch.setattr(triton_check, "check", lambda device: "the Triton scan failed its self-check")
    with caplog.at_level(logging.WARNING):
        loaded = triton_loader._load(GPU)
    assert (loaded.usable, loaded.reason) == (False, "the Triton scan failed its self-check")
    assert len(warnings_of(caplog)) == 1


def test_no_triton_costs_one_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    with caplog.at_level(logging.WARNING):
        loaded = triton_loader._load(GPU)
    assert not loaded.usable
    assert loaded.reason.startswith("Triton cannot be imported (ModuleNotFoundError: ")
    assert loaded.remedy == "install the package triton of the version that torch names"
    assert len(warnings_of(caplog)) == 1


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="it was set in time")
def test_an_interpreter_asked_for_too_late_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "triton")
    monkeypatch.setattr(triton_loader, "_loaded", {})
    with pytest.raises(
        KernelError, match=r"imported before TRITON_INTERPRET was set\n.*set it before Python starts, or"
    ):
        choose_scan(torch.device("cpu"), FLOAT, 16)


def test_the_kernels_are_imported_when_chosen_only() -> None:
    kernels = "cobra_kit_mamba.triton_kernels.elementwise"
    code = f"import sys, cobra_kit_mamba.backbone, cobra_kit_mamba.mamba2; assert {kernels!r} not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Calling the peers


def take_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = Choice(None, "for the test", on_device="mamba_ssm")
    for module, name in ((scan, "choose_scan"), (conv, "choose_conv"), (ssd, "choose_dual")):
        monkeypatch.setattr(module, name, lambda *args: choice)


def test_mamba_ssm_s_scan_is_called_as_it_is_defined(installed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    take_peers(monkeypatch)
    inputs = [x.requires_grad_() for x in scan_inputs(2, 9, 8, 4)]
    y, last = scan.selective_scan(*inputs, return_state=True)
    expected, state = sequential_scan(*inputs)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(last, state)
    assert installed == ["selective_scan_fn"]


@pytest.mark.parametrize("how", ["plain", "past", "segments"])
def test_causal_conv1d_is_called_as_it_is_defined(
    installed: list[str], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_peers(monkeypatch)
    g = torch.Generator().manual_seed(0)
    x, weight, bias, before = (torch.randn(s, generator=g) for s in ((2, 9, 8), (8, 4), (8,), (2, 3, 8)))
    starts = torch.rand(2, 9, generator=g) < 0.3
    starts[:, 0] = False  # there is nothing before it
    past, marks = before if how == "past" else None, starts if how == "segments" else None
    y = conv.causal_conv_silu(x, weight, bias, past, marks)
    torch.testing.assert_close(y, reference_conv(x, weight, bias, past, marks))
    assert installed == ["causal_conv1d_fn"]


@pytest.mark.parametrize("segments", [False, True])
def test_mamba_ssm_s_dual_form_is_called_as_it_is_defined(
    installed: list[str], segments: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_peers(monkeypatch)
    g = torch.Generator().manual_seed(0)
    shapes = [(2, 9, 4, 3), (2, 9, 4), (4,), (2, 9, 2, 5), (2, 9, 2, 5), (4,), (4,)]
    x, dt, A, B, C, D, bias = (torch.randn(shape, generator=g) for shape in shapes)
    starts = F.pad(torch.rand(2, 8, generator=g) < 0.3, (1, 0)) if segments else None
    y, last = ssd.state_space_dual(x, dt, -A.abs(), B, C, D, bias, starts=starts)
    expected, state = sequential_ssd(x, dt, -A.abs(), B, C, D, bias, starts=starts)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(last, state)
    assert installed == ["mamba_chunk_scan_combined"]


# CUDA graphs


class NoWaiting(TorchDispatchMode):
    """Raises where a captured graph would: at a value read on the host, a size that depends on one, another device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__
        self.seen.add(name)
        assert not name.startswith(("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero")), name
        given = [x for x in args if isinstance(x, Tensor)]
        out = func(*args, **(kwargs or {}))
        made = [x for x in (out if isinstance(out, (tuple, list)) else [out]) if isinstance(x, Tensor)]
        assert len({x.device for x in (*given, *made) if x.dim() > 0}) <= 1, f"{name} copies to another device"
        return out


def test_the_check_of_waiting_can_fail() -> None:
    with NoWaiting(), pytest.raises(AssertionError, match="_local_scalar_dense"):
        torch.ones(()).item()
    with NoWaiting(), pytest.raises(AssertionError, match="another device"):
        torch.ones(2).to("meta")


@pytest.mark.parametrize("config", [MambaTinyConfig(vocab_size=40), MambaTwoTinyConfig(vocab_size=40)], ids=["1", "2"])
def test_a_step_waits_for_nothing(config: MambaFamilyConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "chunked")
    model = build(config)
    assert type(model).graph_safe
    state = model.new_state(2, 9, device=torch.device("cpu"), dtype=FLOAT)
    addresses = [tensor.data_ptr() for tensor in state.tensors.values()]
    with NoWaiting():
        model.logits(model.step(torch.randn(2, model.hidden_size), state))
    assert [tensor.data_ptr() for tensor in state.tensors.values()] == addresses


@pytest.mark.parametrize("dtype", [FLOAT, HALF])
@pytest.mark.parametrize("config", [MambaTinyConfig(vocab_size=40), MambaTwoTinyConfig(vocab_size=40)], ids=["1", "2"])
@pytest.mark.usefixtures("gpu")
def test_a_step_on_a_gpu_waits_for_nothing(config: MambaFamilyConfig, dtype: torch.dtype) -> None:
    """Shapes and devices alone, but the very operators that a GPU would be given."""
    torch.set_default_dtype(dtype)
    try:
        with FakeTensorMode(), torch.device("cuda"):
            model = on_meta(config)
            state = model.new_state(2, 9, device=GPU, dtype=dtype)
            hidden = torch.empty(2, model.hidden_size)
            with NoWaiting() as watched:
                out = model.step(hidden, state)
            assert "conv_step.default" in watched.seen
            assert "scan_step.default" in watched.seen or isinstance(config, MambaTwoTinyConfig)
            assert (out.device, out.dtype) == (GPU, dtype)
            with pytest.raises(DataDependentOutputException):
                out.sum().item()
    finally:
        torch.set_default_dtype(FLOAT)
