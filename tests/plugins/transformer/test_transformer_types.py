"""The README's table of model types says what `transformer/hf` does with each."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "docs" / "model_types.py"


@pytest.fixture(scope="module")
def types() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_types", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


AGREE = ["llama", "gemma", "opt", "qwen3_moe", "falcon", "mistral", "xglm", "nemotron"]
REFUSED = ["gpt_neo", "ctrl", "doge", "apertus", "bart", "bert", "gemma2", "bloom", "deepseek_v3", "mamba2", "rwkv"]


@pytest.mark.parametrize("model_type", [*AGREE, *REFUSED])
def test_the_table_says_what_is_so(types: ModuleType, model_type: str) -> None:
    listed = types.listed()
    words, reason = types.outcome(model_type)
    assert (model_type in listed) == (reason is None)
    if reason is None:
        assert listed[model_type] == words


@pytest.mark.slow
def test_the_whole_table(types: ModuleType) -> None:
    assert types.main(["--check"]) == 0
