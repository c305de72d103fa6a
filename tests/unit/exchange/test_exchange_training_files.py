"""Checkpoints as trainers leave them: an optimiser beside the model, wrappers' names around the tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import cobra_kit
from cobra_kit.errors import WeightsError
from cobra_kit.exchange import export_model, import_checkpoint
from cobra_kit.weights import load_tensors

LATEST = "checkpoints/latest-checkpoint.pt"
Tree = dict[str, Any]


@pytest.fixture
def theirs(model, tmp_path):
    export_model(model, format="cobra", out=tmp_path / "theirs")
    return tmp_path / "theirs"


def optimiser_of(model) -> Tree:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimiser = torch.optim.AdamW(trained)
    optimiser.step()
    return optimiser.state_dict()


def same(folder, model) -> bool:
    loaded = cobra_kit.load(folder)
    return all(
        torch.equal(a, b)
        for part in ("projector", "backbone")
        for a, b in zip(
            getattr(loaded, part).state_dict().values(), getattr(model, part).state_dict().values(), strict=True
        )
    )


@pytest.mark.parametrize("form", [None, "cobra", "prismatic"])
def test_an_optimiser_beside_the_model_is_left_out_and_counted(theirs, model, recipe, tmp_path, form):
    before = {name: value.clone() for name, value in load_tensors(theirs / LATEST).items()}
    torch.save({**torch.load(theirs / LATEST), "optimizer": optimiser_of(model), "epoch": 1}, theirs / LATEST)
    notes = import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours", format=form)
    count = 3 * sum(parameter.requires_grad for parameter in model.parameters())
    assert f"left out: optimizer ({count} tensors), which is not the weights" in notes
    loaded = cobra_kit.load(tmp_path / "ours").projector.state_dict()
    assert all(torch.equal(loaded[name], before[f"model.projector.{name}"]) for name in loaded)


def flat(tree: Tree, prefix: str) -> Tree:
    return {f"{prefix}{part}.{name}": value for part, names in tree["model"].items() for name, value in names.items()}


WRAPPED: dict[str, Callable[[Tree], Tree]] = {
    "lightning": lambda tree: {"state_dict": flat(tree, "vlm."), "epoch": 3, "pytorch-lightning_version": "2.5"},
    "deepspeed": lambda tree: {"module": flat(tree, ""), "optimizer": None, "global_steps": 7, "ds_version": "0.17"},
    "ddp": lambda tree: {"model": flat(tree, "module.")},
    "ddp of each part": lambda tree: {
        "model": {part: {f"module.{name}": v for name, v in names.items()} for part, names in tree["model"].items()}
    },
    "compiled": lambda tree: flat(tree, "_orig_mod."),
    "fsdp": lambda tree: {
        name.replace("layers.0.", "layers.0._fsdp_wrapped_module._checkpoint_wrapped_module."): value
        for name, value in flat(tree, "").items()
    },
}


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("form", [None, "cobra"])
def test_names_that_a_trainer_wraps(theirs, model, recipe, tmp_path, wrapped, form):
    torch.save(WRAPPED[wrapped](torch.load(theirs / LATEST)), theirs / LATEST)
    import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours", format=form)
    assert same(tmp_path / "ours", model)


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_the_projector_alone_of_such_files(theirs, model, recipe, tmp_path, wrapped):
    content = torch.load(theirs / LATEST)
    del content["model"]["llm_backbone"]
    torch.save(WRAPPED[wrapped](content), theirs / LATEST)
    import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")
    loaded = cobra_kit.load(tmp_path / "ours").projector.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.projector.state_dict().items())


def test_two_values_under_one_name_are_refused(model, recipe, tmp_path):
    export_model(model, format="llava", out=tmp_path / "theirs")
    file = tmp_path / "theirs" / "mm_projector.bin"
    tensors = torch.load(file)
    tensors |= {f"ema.{name}": value + 1 for name, value in tensors.items()}
    torch.save(tensors, file)
    with pytest.raises(WeightsError, match=r"two different tensors of the checkpoint are model\.mm_projector"):
        import_checkpoint(tmp_path / "theirs", recipe=recipe, out=tmp_path / "ours", format="llava")
