"""What the plugin declares, without torch."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from cobra_kit._plugins import default_registry
from cobra_kit.errors import NotFinishedError
from cobra_kit_transformer.plugin import cobra_backbones


def test_names_and_configs() -> None:
    specs = list(cobra_backbones())
    assert [spec.name for spec in specs] == ["tiny", "hf", "pythia-2.8b", "phi-2"]
    for spec in specs:
        module, name = spec.config.split(":")
        config = getattr(importlib.import_module(module), name)
        assert all(field.description for field in config.model_fields.values())
        assert config.tiny() == config()


@pytest.mark.parametrize("name", ["hf", "pythia-2.8b", "phi-2"])
def test_building_says_that_it_comes_later(name: str) -> None:
    with pytest.raises(NotFinishedError, match="come with the full-size parts") as caught:
        default_registry().get("backbone", f"transformer/{name}").load_class()
    assert "transformer/tiny" in str(caught.value)


def test_imports_no_torch() -> None:
    code = (
        "import sys, cobra_kit_transformer.config as c, cobra_kit_transformer.plugin as p\n"
        "list(p.cobra_backbones()); c.TransformerTinyConfig()\n"
        "sys.exit(' '.join(m for m in ('torch', 'transformers') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
