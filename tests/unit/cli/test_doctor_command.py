"""`cobra-kit doctor`: what it says of kernels, compiler, cache and plugins, and when its exit status is 1."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_packages import run_python

from cobra_kit.cli import main
from cobra_kit.doctor import examination

COMPLAINING = """
from cobra_kit.plugin import Diagnosis, DiagnosticSpec, hookimpl

@hookimpl
def cobra_diagnostics():
    yield DiagnosticSpec(name="flux", target="fake_flux:look")

def look():
    print("noise")
    yield Diagnosis("flux capacitor", "1.21 GW", remedy="buy plutonium")
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "fake_flux.py"
    sys.modules.pop("fake_flux", None)


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COBRA_KIT_CACHE", str(shared_cache))  # compiling the kernels once is enough
    for switch in ("COBRA_KIT_MAMBA_KERNEL", "COBRA_KIT_MAMBA_ISA"):  # the suite may be held to some
        monkeypatch.delenv(switch, raising=False)
    return shared_cache


def output_of(line: str, capsys: pytest.CaptureFixture[str], *, status: int = 0) -> str:
    assert main(line.split()) == status
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 140])
def test_the_page(
    columns: int, cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = output_of("doctor", capsys)
    assert all(len(line) <= columns or str(cache) in line for line in text.splitlines())  # a path is not broken
    for wanted in ("cobra-kit ", "torch ", "triton", "mamba-ssm", "processor", "C compiler", "can be written"):
        assert wanted in " ".join(text.split())  # a long path of the cache folds the line that it is in
    assert "kernels of mamba/tiny on cpu, float32" in text
    assert "backbone.layers.0-1.mixer scan" in text
    last = text.splitlines()[-1]
    assert last.startswith("faster: ") or last == "nothing would make it faster here"


def test_equal_layers_are_one_line_and_no_weights_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    text = output_of("doctor --backbone mamba/2.8b --dtype bfloat16", capsys)
    assert "kernels of mamba/2.8b on cpu, bfloat16" in text
    assert text.count("layers.0-63.mixer scan") == 1
    assert "kernels of mamba/tiny" not in text


def test_every_arm_of_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    text = output_of("doctor ablation_backbone", capsys)
    assert "kernels of mamba/tiny" in text
    assert "kernels of transformer/tiny" in text


def test_json(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    examination = json.loads(output_of("doctor --json", capsys))
    assert examination["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert examination["cache"]["folder"] == str(cache)
    assert examination["models"][0]["groups"][0]["count"] == 2
    assert examination["broken"] == []
    assert examination["remedy"] is None or isinstance(examination["remedy"], str)


def test_no_compiler_names_what_would_help(tmp_path: Path, cache: Path) -> None:
    done = run_python(
        "-m", "cobra_kit", "doctor", cwd=tmp_path, COBRA_KIT_CACHE=str(cache), CC="/nonexistent", COLUMNS="140"
    )
    assert done.returncode == 0, done.stderr  # slower, not broken
    assert "no working C compiler (/nonexistent)" in done.stdout
    assert "chunked PyTorch" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("faster: install a C compiler (such as the package gcc)")


def test_the_switch_that_slows_down_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "chunked")
    text = output_of("doctor", capsys)
    assert "COBRA_KIT_MAMBA_KERNEL=chunked" in text
    assert text.splitlines()[-1] == "faster: unset COBRA_KIT_MAMBA_KERNEL"


def test_a_switch_of_no_kernel_is_broken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", "quick")
    text = " ".join(output_of("doctor", capsys, status=1).split())
    assert "broken kernels of mamba/tiny: COBRA_KIT_MAMBA_KERNEL is 'quick'" in text


def test_a_cache_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("COBRA_KIT_CACHE", str(file / "cache"))
    text = output_of("doctor --backbone transformer/tiny", capsys)
    assert f"cannot be written: {file} is not a folder" in " ".join(text.split())
    assert text.splitlines()[-1] == "faster: set COBRA_KIT_CACHE to a folder that can be written"


def test_libraries_of_other_machines_are_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("COBRA_KIT_CACHE", str(cache))
    (cache / "mamba").mkdir(parents=True)
    (cache / "mamba" / f"{'0' * 32}-{'1' * 64}.so").write_bytes(b"x" * 1000)
    text = " ".join(output_of("doctor --backbone transformer/tiny", capsys).split())
    assert "0 for this machine, 1 of other machines, compilers or versions" in text


def test_an_unknown_backbone_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--backbone", "mamba/13m"]) == 1
    assert "no backbone named 'mamba/13m'" in (message := capsys.readouterr().err)
    assert "did you mean mamba/130m" in message


def test_bad_devices_and_dtypes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert main(["doctor", "--dtype", "float31"]) == 1
    assert "--dtype: no dtype named 'float31'" in (message := capsys.readouterr().err)
    assert "did you mean float32?" in message
    assert main(["doctor", "--device", "tpu"]) == 1
    assert "no device named 'tpu'" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["doctor", "--device", "cuda"]) == 1
    assert "torch sees no GPU" in capsys.readouterr().err


def test_a_gpu_too_old_for_bfloat16(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    assert main(["doctor", "--device", "cuda", "--dtype", "bfloat16"]) == 1
    assert "Tesla T4 (compute capability 7.5) is too old for bfloat16" in capsys.readouterr().err


def test_a_plugin_that_is_broken(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin.write_text("import not_there_at_all")
    text = " ".join(output_of(f"doctor --backbone transformer/tiny --plugin {plugin}", capsys, status=1).split())
    assert f"broken plugin fake-flux ({plugin}) is broken: No module named 'not_there_at_all'" in text


def test_without_the_default_backbone_the_rest_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(output_of("doctor --no-plugins", capsys, status=1).split())
    assert "processor" in text
    assert "broken cobra_tiny: " in text


def test_a_strangers_diagnosis(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin.write_text(COMPLAINING)
    text = output_of(f"doctor --backbone transformer/tiny --plugin {plugin}", capsys)
    assert "flux capacitor    1.21 GW" in text
    assert text.splitlines()[-1] == "faster: buy plutonium"
    assert "noise" not in text


@pytest.mark.parametrize(
    ("look", "message"),
    [
        ('    raise OSError("it is gone")', "fake-flux: flux: failed: OSError: it is gone"),
        ('    return ["fine"]', "returned a str, expected Diagnosis objects"),
    ],
)
def test_a_diagnosis_that_fails_stops_nothing(
    look: str, message: str, plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin.write_text(COMPLAINING.partition("def look")[0] + f"def look():\n{look}\n")
    text = " ".join(output_of(f"doctor --backbone transformer/tiny --plugin {plugin}", capsys, status=1).split())
    assert message in text
    assert "kernels of transformer/tiny" in text


def test_no_torch_is_said_and_the_rest_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "torch_problem", lambda: "torch cannot be imported: libtorch.so is missing")
    text = " ".join(output_of("doctor", capsys, status=1).split())
    assert "broken torch cannot be imported: libtorch.so is missing" in text
    assert "processor" in text


def test_an_address_with_a_password_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBRA_KIT_STORAGE", "postgresql://me:secret@host/base")
    text = output_of("doctor --backbone transformer/tiny", capsys)
    assert "secret" not in text
    assert "COBRA_KIT_STORAGE=(set)" in text
