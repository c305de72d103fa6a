"""Pretraining tasks and commands of `cobra-kit data` are a stranger's to give, as everything else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_packages import write_package

from cobra_kit._plugins import Registry
from cobra_kit.cli import main
from cobra_kit.errors import ArgumentError, PluginError, RecipeError
from cobra_kit.plugin import DataSourceSpec, PretrainingSpec
from cobra_kit.train.encoders import load_pretrain_recipe, pretrain

TASK = '''
import numpy as np
import torch
import typer
from pydantic import BaseModel, ConfigDict
from torch import nn
from typing import Annotated
from cobra_kit.interfaces import EncoderPretraining, Probe
from cobra_kit.plugin import DataCommandSpec, DataSourceSpec, PretrainingSpec, hookimpl

class Data(BaseModel):
    model_config = ConfigDict(extra="forbid")
    grey: int

class Sections(BaseModel):
    model_config = ConfigDict(extra="forbid")
    data: Data

class Bright(nn.Module):
    def __init__(self, width, images):
        super().__init__()
        self.images, self.head = images, nn.Linear(width, 1)

    def forward(self, tokens, rows, rng):
        wanted = torch.from_numpy(self.images[rows].mean((1, 2, 3)) / 255).float()
        return {"bright": (self.head(tokens.mean(1))[:, 0] - wanted).square().mean()}

class Greys(EncoderPretraining):
    def images(self):
        return np.full((8, 64, 64, 3), self.recipe.data.grey, np.uint8)

    def objective(self, width, grid):
        return Bright(width, self.images())

    def probe(self, encode, grid):
        return [Probe("grey", float(torch.isfinite(encode(self.images())).all()), 0.5, 8)]

def count(to: Annotated[int, typer.Option("--to", help="How far.")] = 3) -> None:
    """Count."""
    typer.echo(" ".join(map(str, range(1, to + 1))))

@hookimpl
def cobra_pretraining():
    yield PretrainingSpec(name="greys", summary="greys", part="vision_encoder", target=f"{__name__}:Greys",
                          config=f"{__name__}:Sections")

@hookimpl
def cobra_data_commands():
    yield DataCommandSpec(name="count", summary="counts", target=f"{__name__}:count")

@hookimpl
def cobra_data_sources():
    yield DataSourceSpec(name="rows", summary="", target="a:B", config="a:C", aliases=("old-rows",))
'''

TOY = Path(__file__).parents[2] / "toy_plugin.py"
RECIPE = """\
vision_encoder: {use: toy-encoder, width: 4}
data: {grey: 100}
train: {steps: 2, batch_size: 4, learning_rate: 0.01}
"""


def recipe(folder: Path, text: str) -> Path:
    file = folder / "mine.yaml"
    name = Registry.discover(files=[TOY]).components("vision_encoder")[0].qualified
    file.write_text(text.replace("toy-encoder", name))
    return file


def test_a_strangers_task_teaches_an_encoder(site: Path, tmp_path: Path) -> None:
    write_package(site, "fake-greys", plugins={"greys": "fake_greys"}, modules={"fake_greys": TASK})
    registry = Registry.discover(files=[TOY])
    plan = load_pretrain_recipe(recipe(tmp_path, RECIPE), registry=registry)
    assert plan.task == registry.pretraining("greys/greys")
    result = pretrain(plan)
    assert [probe.accuracy for probe in result.probes] == [1.0]
    assert set(result.losses) == {"bright"} or result.losses == {}
    with pytest.raises(RecipeError, match=r"mine.yaml:2: data.gray: unknown key"):
        load_pretrain_recipe(recipe(tmp_path, RECIPE.replace("grey:", "gray:")), registry=registry)


def test_two_tasks_are_told_apart_by_name(site: Path, tmp_path: Path) -> None:
    for name in ("greys", "greens"):
        write_package(site, f"fake-{name}", plugins={name: f"fake_{name}"}, modules={f"fake_{name}": TASK})
    registry = Registry.discover(files=[TOY])
    with pytest.raises(RecipeError) as caught:
        load_pretrain_recipe(recipe(tmp_path, RECIPE), registry=registry)
    assert "several tasks pretrain a vision encoder: greens/greys or greys/greys" in str(caught.value)
    assert "such as `task: greens/greys`" in str(caught.value)
    file = recipe(tmp_path, f"task: greys/greys\n{RECIPE}")
    assert load_pretrain_recipe(file, registry=registry).task.plugin == "greys"
    with pytest.raises(RecipeError, match=r"mine.yaml:1: task: no pretraining task named 'reds'"):
        load_pretrain_recipe(recipe(tmp_path, f"task: reds\n{RECIPE}"), registry=registry)


def test_without_a_task_nothing_is_pretrained(site: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no installed plugin pretrains a vision encoder"):
        load_pretrain_recipe(recipe(tmp_path, RECIPE), registry=Registry.discover(files=[TOY]))


def test_a_command_of_a_plugin_stands_under_data(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_package(site, "fake-greys", plugins={"greys": "fake_greys"}, modules={"fake_greys": TASK})
    assert main(["data", "--help"]) == 0
    assert re.search(r"^  count +counts$", capsys.readouterr().out, re.MULTILINE)
    assert main(["data", "count", "--to", "2"]) == 0
    assert capsys.readouterr().out == "1 2\n"


def test_a_command_that_two_plugins_have_is_nobodys(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("greys", "greens"):
        write_package(site, f"fake-{name}", plugins={name: f"fake_{name}"}, modules={f"fake_{name}": TASK})
    assert main(["data", "count"]) != 0
    shown = capsys.readouterr().err
    assert "several plugins have a command 'count': greens (fake-greens 1.0) or greys (fake-greys 1.0)" in shown


def test_a_former_name_finds_a_source_while_it_is_unique(site: Path) -> None:
    write_package(site, "fake-greys", plugins={"greys": "fake_greys"}, modules={"fake_greys": TASK})
    registry = Registry.discover()
    assert registry.data_source("old-rows") == registry.data_source("greys/rows")
    write_package(site, "fake-greens", plugins={"greens": "fake_greens"}, modules={"fake_greens": TASK})
    with pytest.raises(PluginError, match="data source 'old-rows' is ambiguous"):
        Registry.discover().data_source("old-rows")


def test_wrong_specs_are_refused_in_words() -> None:
    here = {"name": "a", "summary": "", "target": "a:B", "config": "a:C"}
    with pytest.raises(ArgumentError, match="part of 'a' must be 'vision_encoder' or 'backbone', not 'projector'"):
        PretrainingSpec(part="projector", **here)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="bad alias 'A' of 'a'"):
        DataSourceSpec(aliases=("A",), **here)  # type: ignore[arg-type]
