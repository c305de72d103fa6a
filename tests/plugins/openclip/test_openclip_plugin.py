"""The open_clip names stand, cannot be built yet, and say so."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from pydantic import ValidationError

from cobra_kit._plugins import default_registry
from cobra_kit.errors import NotFinishedError
from cobra_kit.plugin import VisionEncoderSpec
from cobra_kit_openclip.config import AnyConfig
from cobra_kit_openclip.plugin import cobra_vision_encoders

SPECS = list(cobra_vision_encoders())


def test_names() -> None:
    assert [spec.name for spec in SPECS] == ["clip-l-336", "so400m-384", "any"]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_configs_are_ready(spec: VisionEncoderSpec) -> None:
    module, name = spec.config.split(":")
    config = getattr(importlib.import_module(module), name)
    assert all(field.description for field in config.model_fields.values())
    assert config.tiny() == config()


@pytest.mark.parametrize("name", ["clip-l-336", "so400m-384", "any"])
def test_building_says_that_it_comes_later(name: str) -> None:
    component = default_registry().get("vision_encoder", f"openclip/{name}")
    with pytest.raises(NotFinishedError, match=f"openclip/{name}.*") as caught:
        component.load_class()
    assert "come with the full-size encoders" in str(caught.value)
    assert "siglip/tiny" in str(caught.value)


def test_misspelled_key() -> None:
    with pytest.raises(ValidationError, match="modle"):
        AnyConfig.model_validate({"modle": "ViT-B-16"})


def test_imports_no_torch() -> None:
    code = (
        "import sys, cobra_kit_openclip.config, cobra_kit_openclip.plugin as p; list(p.cobra_vision_encoders())\n"
        "sys.exit(' '.join(m for m in ('torch', 'open_clip') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
