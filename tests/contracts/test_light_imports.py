"""Nothing heavy is imported before a component is built: that keeps the command line fast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_packages import run_python

HEAVY = {"torch", "torchvision", "timm", "open_clip", "transformers", "tokenizers", "optuna", "numpy", "safetensors"}

REPORT = (
    "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
)


def modules_after(code: str, cwd: Path, **environment: str) -> set[str]:
    process = run_python("-c", f"{code}\n{REPORT}", cwd=cwd, **environment)
    assert process.returncode == 0, process.stderr
    return set(json.loads(process.stderr.splitlines()[-1]))


CODE = {
    "import cobra_kit": "import cobra_kit",
    "cobra_kit.plugin": "import cobra_kit.plugin",
    "cobra_kit.config": "import cobra_kit.config",
    "--help": "from cobra_kit.cli import main; assert main(['--help']) == 0",
    "plugins list": "from cobra_kit.cli import main; assert main(['plugins', 'list']) == 0",
    "plugins list --no-load": "from cobra_kit.cli import main; assert main(['plugins', 'list', '--no-load']) == 0",
    "every config": (
        "from cobra_kit._plugins import default_registry\n"
        "for component in default_registry().components():\n"
        "    component.load_config(check_requires=False).tiny()"
    ),
}


@pytest.mark.parametrize("code", CODE.values(), ids=CODE)
def test_nothing_heavy_is_imported(code: str, tmp_path: Path) -> None:
    loaded = modules_after(code, tmp_path)
    assert "cobra_kit" in loaded
    assert loaded & HEAVY == set()


VALIDATE = "from cobra_kit.cli import main; assert main(['recipes', 'validate', 'cobra_tiny']) == 0"


def test_a_look_at_a_recipe_builds_no_large_library(tmp_path: Path) -> None:
    """The first one imports torch alone, the next ones not even that: `recipes validate` answers within seconds."""
    cache = str(tmp_path / "cache")
    first = modules_after(VALIDATE, tmp_path, COBRA_KIT_CACHE=cache)
    assert "torch" in first
    assert first & HEAVY <= {"torch", "numpy", "tokenizers", "safetensors"}
    assert modules_after(VALIDATE, tmp_path, COBRA_KIT_CACHE=cache) & HEAVY <= {"numpy"}


def test_no_plugin_module_is_imported_for_help(tmp_path: Path) -> None:
    loaded = modules_after("from cobra_kit.cli import main; main(['--help'])", tmp_path)
    assert not [name for name in loaded if name.startswith("cobra_kit_")]
