"""What the three plugins declare, without torch."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

DECLARED = {
    "siglip": ["so400m-384", "tiny"],
    "dinov2": ["large-384", "tiny"],
    "dinosiglip": ["so400m-384", "tiny"],
}


@pytest.mark.parametrize("plugin", DECLARED)
def test_names_and_references(plugin: str) -> None:
    specs = list(importlib.import_module(f"cobra_kit_timm.{plugin}_plugin").cobra_vision_encoders())
    assert [spec.name for spec in specs] == DECLARED[plugin]
    for spec in specs:
        assert spec.unfinished is None
        for reference in (spec.target, spec.config):
            module, name = reference.split(":")
            assert isinstance(getattr(importlib.import_module(module), name), type)
        module, name = spec.config.split(":")
        config = getattr(importlib.import_module(module), name)
        assert config.component == f"{plugin}/{spec.name}"
        assert all(field.description for field in config.model_fields.values())
        assert config.tiny().weights == "none"


def test_declarations_and_configs_import_no_torch() -> None:
    code = (
        "import sys, cobra_kit_timm.config as c\n"
        "from cobra_kit_timm import siglip_plugin, dinov2_plugin, dinosiglip_plugin\n"
        "for p in (siglip_plugin, dinov2_plugin, dinosiglip_plugin): list(p.cobra_vision_encoders())\n"
        "c.DinoSiglipTinyConfig()\n"
        "sys.exit(' '.join(m for m in ('torch', 'timm', 'torchvision') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_preparing_an_image_needs_no_timm() -> None:
    """Data workers would pay seconds for its import."""
    code = (
        "import sys\n"
        "from PIL import Image\n"
        "from cobra_kit_timm.config import DinoSiglipTinyConfig\n"
        "from cobra_kit_timm.dinosiglip import DinoSiglipEncoder\n"
        "DinoSiglipEncoder.preprocess(DinoSiglipTinyConfig())(Image.new('RGB', (9, 7)))\n"
        "sys.exit('timm' if 'timm' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
