"""The road from `run` to an optimiser step is short and goes one way; rooms that studies are made of have no circle."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Iterator
from pathlib import Path

import miniature
import pytest
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook
from typer.testing import CliRunner

from cobra_kit.cli.app import app

PACKAGE = Path(__file__).parents[3] / "cobra_kit"
MOST_FILES = 15
MOST_ROOMS = 10
ROOMS = ("study/execution", "study/search", "study/reading", "study/plan")
"""Each imports from those behind it and never the other way."""
SHORT = ["train.finetune.steps=1", "evaluate.benchmarks=[presence]", "evaluate.validation=null"]


def files_on_the_stack() -> list[str]:
    frames = [Path(frame.filename) for frame in traceback.extract_stack()]
    return [str(path.relative_to(PACKAGE)) for path in frames if path.is_relative_to(PACKAGE)]


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_few_files_lie_between_the_command_and_an_optimiser_step(tmp_path: Path, command: str) -> None:
    stacks: list[list[str]] = []

    def note(optimiser: Optimizer, args: object, kwargs: object) -> None:
        if not stacks:
            stacks.append(files_on_the_stack())

    recipe = miniature.write(tmp_path)
    settings = [word for setting in SHORT for word in ("--set", setting)]
    hook = register_optimizer_step_pre_hook(note)
    try:
        CliRunner().invoke(app, [command, str(recipe), "--out", str(tmp_path / "study"), *settings])
    finally:
        hook.remove()
    [stack] = stacks
    assert len(dict.fromkeys(stack)) <= MOST_FILES, stack
    training = next(index for index, file in enumerate(stack) if file.startswith("train/"))
    assert not [file for file in stack[training:] if file.startswith("study/")], stack


def imported(file: Path) -> Iterator[str]:
    """Yields the modules that a file imports, in functions too, but for annotations alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    annotations = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in annotations:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_a_study_needs_few_other_rooms() -> None:
    names = {name.split(".")[1] for file in PACKAGE.glob("study/**/*.py") for name in imported(file) if "." in name}
    rooms = {name for name in names if (PACKAGE / name).is_dir()} - {"study"}
    assert len(rooms) <= MOST_ROOMS, rooms


def test_the_rooms_of_a_study_import_one_way() -> None:
    for index, room in enumerate(ROOMS):
        above = tuple(f"cobra_kit.{other.replace('/', '.')}" for other in ROOMS[:index])
        for file in (PACKAGE / room).glob("*.py"):
            assert not [name for name in imported(file) if name.startswith(above)], file


@pytest.mark.parametrize("room", ["study", "reproduce", "forecast"])
def test_no_module_imports_itself_by_way_of_others(room: str) -> None:
    modules = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in PACKAGE.glob(f"{room}/**/*.py")
    }
    needs = {name: {other for other in imported(file) if other in modules} - {name} for name, file in modules.items()}
    while free := [name for name, others in needs.items() if not others]:
        needs = {name: others.difference(free) for name, others in needs.items() if name not in free}
    assert not needs


@pytest.mark.parametrize("room", ["forecast", "trials", "train", "evaluate"])
def test_rooms_below_know_nothing_of_studies(room: str) -> None:
    for file in PACKAGE.glob(f"{room}/**/*.py"):
        text = file.read_text(encoding="utf-8")
        assert "cobra_kit.study" not in text, file
