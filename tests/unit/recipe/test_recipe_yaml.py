"""YAML as recipes read it: 1.2 scalars, located, written back unchanged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.recipe.tree import Origin, Plain
from cobra_kit.recipe.yaml_reader import dump_yaml, parse_yaml

keys = st.text(min_size=1, max_size=8).filter(lambda key: key != "<<" and _is_yaml(key))
texts = st.text(max_size=12).filter(lambda text: _is_yaml(text))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.sampled_from(["yes", "no", "1e-3", "0o7", "1_000", "12:30", "2024-01-01", "null", "~", "", ".5", "0x1", "="])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)


def _is_yaml(text: str) -> bool:
    """YAML has no lone surrogates, and PyYAML escapes no other character that its reader refuses."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("1e-3", 0.001),
        ("2e5", 200000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-7", -7),
        ("0o17", 15),
        ("0x1F", 31),
        ("010", 10),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("null", None),
        ("~", None),
        ("=", "="),
        ("'1'", "1"),
        ("!!str 1", "1"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Plain) -> None:
    parsed = parse_yaml(f"a: {text}", "x").plain()
    assert isinstance(parsed, dict)
    assert parsed["a"] == value
    assert type(parsed["a"]) is type(value)


def test_keys_are_names_as_written() -> None:
    assert parse_yaml("{no: 1, 2: 2, null: 3, '4': 4}", "x").plain() == {"no": 1, "2": 2, "null": 3, "4": 4}


def test_every_value_knows_its_place() -> None:
    tree = parse_yaml("a:\n  b: [1,\n      2]\nc: {d: 3}\n", "f.yaml")
    assert tree.origin_of(("a", "b")) == Origin("f.yaml", 2, 3)
    assert tree.origin_of(("a", "b", 1)) == Origin("f.yaml", 3, 7)
    assert str(tree.origin_of(("c", "d"))) == "f.yaml:4"
    assert str(tree.origin_of(("c", "unknown", "deeper"))) == "f.yaml:4"
    assert tree.get("c", "unknown") is None


def test_plain_aliases_are_expanded() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: *x\n", "x").plain() == {"a": {"b": 1}, "c": {"b": 1}}


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    parsed = parse_yaml(dump_yaml(value), "x").plain()
    assert parsed == value
    assert repr(parsed) == repr(value)  # tells 1 from True and 1.0
