"""The README's example and test command are run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_runs_outside_the_checkout(tmp_path):
    [example] = python_blocks(ROOT / "README.md")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert "mamba/tiny" in done.stdout
    assert sorted(p.name for p in (tmp_path / "saved").iterdir()) == ["lock.json", "model.safetensors", "recipe.yaml"]


def test_ci_runs_the_readme_s_test_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'pip install -e ".[test]" && pytest' in readme
    assert "README.md" in script, "the script reads the command from the README instead of repeating it"


def test_the_plugin_in_the_docs_works(tmp_path):
    example = ROOT / "docs" / "examples" / "mean_projector.py"
    code = (
        "import cobra_kit; from cobra_kit import _plugins; from pathlib import Path\n"
        f"_plugins.configure(files=[Path({str(example)!r})])\n"
        "m = cobra_kit.compose('recipes/cobra_tiny.yaml', overrides=['model.projector.use=mean-projector/mean'])\n"
        "print(m.image_tokens().num_tokens)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "1", done.stderr
