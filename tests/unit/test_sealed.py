"""Digests: whatever changed in a file shows, and nothing else does."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cobra_kit.errors import DamagedFile
from cobra_kit.files import (
    FileDigest,
    bytes_digest,
    check_file,
    check_seal,
    file_digest,
    is_sealed,
    json_bytes,
    read_sealed_json,
    seal,
    without_seal,
    write_sealed_json,
)

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    LEAVES | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
@settings(max_examples=200, deadline=None)
def test_a_sealed_mapping_keeps_its_seal_through_json(mapping: dict[str, Any]) -> None:
    sealed = json.loads(json_bytes(seal(mapping), indent=2))
    check_seal(sealed, Path("a.json"))
    check_seal(dict(reversed(sealed.items())), Path("a.json"))
    assert seal(sealed) == sealed


def test_keys_and_tuples_are_sealed_as_json_has_them(tmp_path: Path) -> None:
    mapping: dict[Any, Any] = {10: "x", 9: (1, 2.0), "ä\udce9": None}
    write_sealed_json(tmp_path / "a.json", mapping)
    read = read_sealed_json(tmp_path / "a.json")
    assert is_sealed(read)
    assert without_seal(read) == {"10": "x", "9": [1, 2.0], "ä\udce9": None}


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_shows_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, place: int, flip: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "flipped.json"
    mapping = {"seeds": [7, 8], "arms": ["mlp", "ldpv2"], "rate": 0.001, "on": True, "none": None}
    write_sealed_json(file, mapping)
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= flip
    file.write_bytes(content)
    with suppress(DamagedFile):
        read = read_sealed_json(file)
        # The one flip that goes unnoticed is in the name of the seal itself.
        assert not is_sealed(read) or without_seal(read) == mapping


def test_a_file_without_a_seal_opens(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}', "utf-8")
    read = read_sealed_json(tmp_path / "a.json")
    assert read == {"a": 1}
    assert not is_sealed(read)


@pytest.mark.parametrize("value", [None, 1, "x", [1], {}])
def test_a_seal_of_any_other_kind_is_damage(tmp_path: Path, value: object) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"a": 1, "sha256": value}), "utf-8")
    with pytest.raises(DamagedFile, match="the digest differs"):
        read_sealed_json(tmp_path / "a.json")


def test_a_changed_file_shows(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"x" * 3_000_000)
    digest = file_digest(file)
    assert digest == bytes_digest(b"x" * 3_000_000)
    assert FileDigest.from_plain(json.loads(json.dumps(asdict(digest))), file) == digest
    check_file(file, digest, "Run again.")
    file.write_bytes(b"x" * 2_999_999 + b"y")
    with pytest.raises(DamagedFile, match=r"a\.jsonl: its content is not what was written.*\n +Run again\."):
        check_file(file, digest, "Run again.")
    file.write_bytes(b"x")
    with pytest.raises(DamagedFile, match="holds 1 bytes, 3,000,000 were written"):
        check_file(file, digest, "Run again.")
    file.unlink()
    with pytest.raises(DamagedFile, match="is missing"):
        check_file(file, digest, "Run again.")


@pytest.mark.parametrize("value", [None, "sha256:x", {}, {"bytes": True, "sha256": "x"}, {"bytes": 1, "sha256": 2}, []])
def test_what_is_no_digest_is_damage(value: object) -> None:
    with pytest.raises(DamagedFile, match="holds no digest"):
        FileDigest.from_plain(value, Path("scores.json"))
