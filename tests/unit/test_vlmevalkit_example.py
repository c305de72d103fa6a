"""The script for VLMEvalKit registers the model and hands over, tried against stand-ins for VLMEvalKit's modules."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import cobra_kit

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "vlmevalkit.py"


def module(name: str, monkeypatch: pytest.MonkeyPatch, **contents: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(contents)
    monkeypatch.setitem(sys.modules, name, made)
    return made


class Echo:
    def generate(self, images: Any, question: str, *, max_new_tokens: int) -> str:
        return f"{images} {question}"


def test_the_model_is_registered_under_its_name_and_run_py_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_from_file_location("vlmevalkit_example", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    models: dict[str, Any] = {}
    for name in ("vlmeval", "vlmeval.vlm"):
        module(name, monkeypatch)
    module("vlmeval.vlm.base", monkeypatch, BaseModel=type("BaseModel", (), {}))
    module("vlmeval.config", monkeypatch, supported_VLM=models)
    (tmp_path / "run.py").write_text("import sys\nopen('words', 'w').write(' '.join(sys.argv))\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    script.main("exported", "--data", "POPE")
    assert (tmp_path / "words").read_text() == "run.py --model cobra-kit --data POPE"
    monkeypatch.setattr(cobra_kit, "load", lambda folder, device: Echo(), raising=False)
    model = models["cobra-kit"]()
    image, text = {"type": "image", "value": "a.png"}, {"type": "text", "value": "What?"}
    assert model.generate_inner([image, text]) == "['a.png'] What?"
    assert model.generate_inner([image, text, image]) == "['a.png', 'a.png'] <image>\nWhat?\n<image>"
    assert model.generate_inner([text]) == "None What?"
