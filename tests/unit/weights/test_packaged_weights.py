"""A plugin's own file into any module: what is wrong is said with what can be done about it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from cobra_kit.errors import WeightsError
from cobra_kit.weights import load_packaged, save_tensors


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_tensors(path, {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, {"vocabulary": "abc"})
    return path


@pytest.mark.parametrize("vocabulary", [None, "abc"])
def test_it_is_loaded(file: Path, vocabulary: str | None) -> None:
    module = nn.Linear(3, 2)
    load_packaged(module, file, vocabulary=vocabulary)
    assert module.weight.eq(1).all()


def test_a_file_that_names_no_vocabulary_fits_any(file: Path) -> None:
    save_tensors(file, {"weight": torch.ones(2, 3), "bias": torch.zeros(2)})
    load_packaged(nn.Linear(3, 2), file, vocabulary="abc")


def test_another_vocabulary_comes_before_another_size(file: Path) -> None:
    with pytest.raises(WeightsError, match="another vocabulary") as caught:
        load_packaged(nn.Linear(3, 4), file, vocabulary="xyz")
    assert "does not fit" not in str(caught.value)


def test_what_does_not_fit_leaves_the_module_as_it_was(file: Path) -> None:
    module = nn.Linear(3, 4)
    before = module.weight.clone()
    with pytest.raises(WeightsError, match=r"(?s)does not fit Linear.*fit the default sizes only"):
        load_packaged(module, file)
    assert torch.equal(module.weight, before)


def test_a_missing_file_asks_for_the_package_again(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="missing") as caught:
        load_packaged(nn.Linear(3, 2), tmp_path / "gone.safetensors")
    assert "Install the package again" in str(caught.value)
