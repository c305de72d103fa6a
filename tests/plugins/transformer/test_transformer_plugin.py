"""What the plugin declares, without torch."""

from __future__ import annotations

import importlib
import subprocess
import sys

from cobra_kit_transformer.plugin import cobra_backbones


def test_names_and_configs() -> None:
    specs = list(cobra_backbones())
    names = ["tiny", "tiny-base", "tiny-chat", "hf", "pythia-2.8b", "phi-2", "vicuna-7b", "mobilellama-2.7b"]
    assert [spec.name for spec in specs] == names
    for spec in specs:
        assert spec.unfinished is None
        module, name = spec.config.split(":")
        config = getattr(importlib.import_module(module), name)
        assert all(field.description for field in config.model_fields.values())
        assert config.tiny().weights == "none"
        if spec.name.startswith("tiny-"):
            assert config().weights == "packaged"


def test_imports_no_torch() -> None:
    code = (
        "import sys, cobra_kit_transformer.config as c, cobra_kit_transformer.hf_config as h\n"
        "import cobra_kit_transformer.plugin as p\n"
        "list(p.cobra_backbones()); c.TransformerTinyConfig(); h.Vicuna7bConfig(); h.HfConfig.tiny()\n"
        "sys.exit(' '.join(m for m in ('torch', 'transformers', 'tokenizers') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
