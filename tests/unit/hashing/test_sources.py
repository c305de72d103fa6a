"""The fingerprint of code follows its source files, and nothing else."""

from __future__ import annotations

import sys

import pytest

from cobra_kit.errors import CobraError
from cobra_kit.hashing import module_sources, source_fingerprint


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "site" / "my_parts"
    (folder / "vision").mkdir(parents=True)
    for name, text in {"__init__.py": "", "vision/__init__.py": "", "vision/tower.py": "x = 1\n"}.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield folder
    for name in [name for name in sys.modules if name.startswith(("my_parts", "shared_names"))]:
        del sys.modules[name]


def test_it_follows_a_changed_an_added_and_a_renamed_file(package):
    seen = [source_fingerprint([package])]
    (package / "vision" / "tower.py").write_text("x = 2\n")
    seen.append(source_fingerprint([package]))
    (package / "helper.py").write_text("y = 1\n")
    seen.append(source_fingerprint([package]))
    (package / "helper.py").rename(package / "helpers.py")
    seen.append(source_fingerprint([package]))
    (package / "kernel.cu").write_text("// kernel\n")
    seen.append(source_fingerprint([package]))
    assert len(set(seen)) == 5


def test_what_is_no_source_does_not_count(package):
    before = source_fingerprint([package])
    for name in ("README.md", "vision/weights.safetensors", "__pycache__/tower.cpython-311.pyc", ".git/hook.py"):
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("other")
    assert source_fingerprint([package]) == before


def test_where_the_package_lies_does_not_count(package, tmp_path):
    before = source_fingerprint([package])
    (tmp_path / "elsewhere").mkdir()
    assert source_fingerprint([package.rename(tmp_path / "elsewhere" / "my_parts")]) == before


def test_a_single_file(tmp_path):
    file = tmp_path / "my_projector.py"
    file.write_text("a = 1\n")
    before = source_fingerprint([file])
    file.write_text("a = 2\n")
    assert source_fingerprint([file]) != before


def test_a_link_to_nothing_counts_as_such(package):
    """No code can import it, so it must not stop anything; editors leave such links."""
    before = source_fingerprint([package])
    (package / ".#tower.py").symlink_to("user@host.1234")
    assert source_fingerprint([package]) == before
    (package / "broken.py").symlink_to(package / "gone.py")
    broken = source_fingerprint([package])
    (package / "gone.py").write_text("z = 1\n")
    assert len({before, broken, source_fingerprint([package])}) == 3


def test_a_file_that_fails_is_an_error(package, monkeypatch):
    def fails(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.read_bytes", fails)
    with pytest.raises(CobraError, match=r"__init__\.py: the source file cannot be read: Input/output error"):
        source_fingerprint([package])


def test_the_sources_of_a_module_are_its_outermost_package(package):
    assert module_sources("my_parts.vision.tower") == (package,)
    assert "my_parts.vision.tower" not in sys.modules, "nothing is imported for it"
    (package.parent / "my_module.py").write_text("")
    assert module_sources("my_module") == (package.parent / "my_module.py",)
    assert module_sources("no_such_module.at_all") == ()
    assert module_sources("sys") == ()


def test_a_namespace_is_not_taken_whole(package):
    mine = package.parent / "shared_names" / "mine"
    mine.mkdir(parents=True)
    (mine / "__init__.py").write_text("")
    (package.parent / "shared_names" / "other").mkdir()
    assert module_sources("shared_names.mine.tower") == (mine,)
