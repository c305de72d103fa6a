"""Names that strangers wrote: which may name a file, and which may stand in a command."""

from __future__ import annotations

import shlex

import pytest

from cobra_kit.names import (
    install_command,
    is_installable,
    is_pinned_package,
    is_run_name,
    is_word,
    name_problem,
    path_word,
)

HOSTILE = [
    "../../x",
    "/etc/passwd",
    "..",
    ".",
    "",
    " ",
    "a/b",
    "a\\b",
    "x" * 400,
    "a\nb",
    "a\x1b[2J",
    "a\x00",
    "a\u202eb",
    "a\u200bb",
    "\ud800",
    "é" * 150,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_name_is_one(name: str) -> None:
    assert name_problem(name) is not None
    assert not is_run_name(name)
    assert not is_word(name)


@pytest.mark.parametrize("name", ["ablation_projector", "my recipe (2)", "größe", "v1.5", "大きさ"])
def test_what_people_call_their_files_is(name: str) -> None:
    assert name_problem(name) is None
    assert is_word(name)


@pytest.mark.parametrize("name", ["mlp-s7", "trial-0004", "a", "mlp+ldp_2-s-1", "trial-0004-s7"])
def test_names_of_runs(name: str) -> None:
    assert is_run_name(name)


@pytest.mark.parametrize("name", [None, 7, ["a"], "-x", ".x", "a b", "größe", "a\n"])
def test_what_no_run_is_called(name: object) -> None:
    assert not is_run_name(name)


@pytest.mark.parametrize("word", ["--plugin=evil.py", "-x", "~root", ".hidden"])
def test_an_option_is_no_word(word: str) -> None:
    assert not is_word(word)


def test_a_path_is_no_option() -> None:
    assert path_word("-x/study") == "./-x/study"
    assert path_word("studies/x") == "studies/x"


@pytest.mark.parametrize(
    ("name", "version"),
    [("torch", "2.9.1+cpu"), ("ruamel.yaml", "0.18"), ("a", "1!2.0rc1"), ("x-y_z", "1.0.dev3")],
)
def test_pinned_packages(name: str, version: str) -> None:
    assert is_pinned_package(name, version)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("numpy; rm -rf ~", "1"),
        ("--index-url=http://evil", "1"),
        ("-r", "1"),
        ("$(id)", "1"),
        ("a @ https://evil/x.zip", "1"),
        ("git+https://evil", "1"),
        ("./evil", "1"),
        ("", "1"),
        ("numpy", ""),
        ("numpy", "1 --extra-index-url x"),
        ("numpy", "1`id`"),
        ("numpy", "1\n"),
        ("numpy", " 1"),
        ("numpy", "x"),
        ("numpy", 5),
        (5, "1"),
        ("n" * 400, "1"),
        ("num\u202epy", "1"),
    ],
)
def test_what_is_no_pinned_package(name: object, version: object) -> None:
    assert not is_pinned_package(name, version)


@pytest.mark.parametrize(
    "requirement", ["evil @ https://evil/x.zip", "evil @ file:///tmp/x", "--index-url=x", "a b", "-e .", "x;\x1b[2J"]
)
def test_an_address_is_no_command(requirement: str) -> None:
    assert not is_installable(requirement)
    assert "pip" not in install_command(["fine>=1", requirement])


def test_requirements_are_quoted() -> None:
    assert install_command(["a>=1", "b"]) == "pip install 'a>=1' 'b'"
    marked = "a; python_version < '4' and os_name != \"$(id)\""
    assert shlex.split(install_command([marked])) == ["pip", "install", marked]
