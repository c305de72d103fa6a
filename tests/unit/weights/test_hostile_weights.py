"""Checkpoints that somebody built to harm: refused with the file's name, before memory is asked for."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import threading
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cobra_kit.errors import WeightsError
from cobra_kit.weights import load_metadata, load_tensors

MOST_MEMORY = 64 << 20
OPEN = b"\x80\x02"


def refused(path: Path, match: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=match) as caught:
            load_tensors(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)


def archive(path: Path, pickled: bytes, storages: dict[str, bytes] | None = None, packed: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", packed) as file:
        file.writestr("w/data.pkl", pickled)
        file.writestr("w/byteorder", b"little")
        for key, content in (storages or {}).items():
            file.writestr(f"w/data/{key}", content)
        file.writestr("w/version", b"3\n")
    return path


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def call(module: str, name: str, args: bytes) -> bytes:
    return f"c{module}\n{name}\n".encode() + b"(" + args + b"tR"


def storage(key: str, count: int) -> bytes:
    return b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(count) + b"tQ"


def tensor(stored: bytes, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    shapes = b"".join(b"(" + b"".join(map(number, shape)) + b"t" for shape in (size, stride))
    return call("torch._utils", "_rebuild_tensor_v2", stored + number(offset) + shapes + b"\x89" + b"N")


def named(value: bytes) -> bytes:
    return OPEN + b"}" + text("a") + value + b"s."


FOUR = {"0": struct.pack("<4f", 1, 2, 3, 4)}

CASES: dict[str, tuple[bytes, str]] = {
    "gigabytes that are not there": (
        named(call("builtins", "bytearray", number(1 << 40))),
        "asks for 1,099,511,627,776",
    ),
    "a tensor made by a class": (named(call("torch", "FloatTensor", number(1 << 36))), "asks for torch.FloatTensor"),
    "one number seen as a terabyte": (named(tensor(storage("0", 4), 0, (1 << 38,), (0,))), "seen again and again"),
    "beyond its storage": (named(tensor(storage("0", 4), 2, (4,), (1,))), "reaches beyond the 16 bytes"),
    "a storage larger than its record": (named(tensor(storage("0", 1 << 40), 0, (4,), (1,))), "is said to have"),
    "a storage that is not there": (
        named(tensor(storage("9", 4), 0, (4,), (1,))),
        "is said to have 16 bytes, and has 0",
    ),
    "sizes below zero": (named(tensor(storage("0", 4), 0, (-4,), (1,))), "truncated or damaged"),
    "an offset below zero": (named(tensor(storage("0", 4), -4, (4,), (1,))), "truncated or damaged"),
    "in itself": (OPEN + b"}q\x00" + text("a") + b"h\x00s.", "nested more than 64 levels deep, or in a circle"),
    "deep": (OPEN + (b"}" + text("a")) * 5000 + b"N" + b"s" * 5000 + b".", "nested more than 64 levels deep"),
    "a key of tuples": (named(b"}" + b")" + b"\x85" * 200_000 + b"Ns"), "truncated or damaged"),
    "a long name": (OPEN + b"}" + text("a" * 3000) + tensor(storage("0", 4), 0, (4,), (1,)) + b"s.", "too long names"),
    "a sparse tensor": (named(call("torch._utils", "_rebuild_sparse_tensor", b"NN")), "_rebuild_sparse_tensor"),
    "a tensor without values": (
        named(call("torch._utils", "_rebuild_meta_tensor_no_storage", b"NNNN")),
        "_rebuild_meta_tensor_no_storage",
    ),
    "a giant memo": (OPEN + b"}r\xf0\xff\xff\xff.", "holds no named tensors"),
    "a string without an end": (OPEN + b"X\xff\xff\xff\x7f", "larger than any checkpoint's|truncated or damaged"),
    "a packed encoding": (named(call("_codecs", "encode", text("x" * 99) + text("punycode"))), "_codecs.encode"),
}


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_asks_for_too_much(tmp_path: Path, name: str, zipped: bool) -> None:
    pickled, match = CASES[name]
    if zipped:
        refused(archive(tmp_path / "w.pt", pickled, FOUR), match)
        return
    start = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    (tmp_path / "w.pt").write_bytes(start + pickled + pickle.dumps(["0"], 2) + struct.pack("<q", 4) + FOUR["0"])
    refused(tmp_path / "w.pt", "truncated or damaged|refused|holds no named tensors")


def test_the_same_mapping_again_and_again(tmp_path: Path) -> None:
    """Forty levels, each twice the one below: a trillion names."""
    levels = b"}" + text("a") + tensor(storage("0", 4), 0, (4,), (1,)) + b"s"
    for level in range(40):
        levels = b"}(" + text("l") + levels + bytes([ord("q"), level]) + text("r") + b"h" + bytes([level]) + b"u"
    path = archive(tmp_path / "w.pt", OPEN + levels + b".", FOUR)
    with pytest.raises(WeightsError, match="too many values"):
        load_tensors(path)


def test_many_views_of_one_storage(tmp_path: Path) -> None:
    values = torch.zeros(1000, 1000)
    torch.save({str(i): values.as_strided((1000, 1000), (1, 1000 - i)) for i in range(50)}, tmp_path / "w.pt")
    refused(tmp_path / "w.pt", "share so much")


def test_a_bomb_of_a_zip(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "w.pt", OPEN + b"}." + b"\0" * (64 << 20), packed=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 20
    refused(bomb, r"record w/data\.pkl is packed, which torch never does")


def test_records_that_lie_within_each_other(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.pt", named(tensor(storage("0", 4), 0, (4,), (1,))), FOUR)
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    content[place + 42 : place + 46] = struct.pack("<I", 4)  # byteorder begins inside data.pkl
    path.write_bytes(content)
    refused(path, "lies within another")


def test_a_directory_larger_than_any(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(1 << 40)  # sparse
        file.seek(0, os.SEEK_END)
        file.write(b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 9, 9, 1 << 31, 0, 0))
    refused(path, "the list of its records has 2,147,483,648 bytes")


@pytest.mark.parametrize("length", [1 << 62, 1 << 40, 99 << 20, 2**64 - 1])
def test_a_safetensors_header_longer_than_any(tmp_path: Path, length: int) -> None:
    with (tmp_path / "w.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", length) + b"{")
        file.truncate(200 << 20)  # sparse
    refused(tmp_path / "w.safetensors", "its header says that it has")
    with pytest.raises(WeightsError, match="its header says that it has"):
        load_metadata(tmp_path / "w.safetensors")


def safetensors(path: Path, header: object, data: bytes = b"") -> Path:
    content = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content)) + content + data)
    return path


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": [1 << 62, 4, 0], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 1 << 50]}},
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}},
        {n: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} for n in "ab"},
        {"__metadata__": {"cobra_kit.tied": "[" * 100_000}},
        {"__metadata__": {"cobra_kit.tied": "[1]"}},
        {"__metadata__": {"cobra_kit.tied": '{"b": ["a"]}'}},
        {"__metadata__": {"cobra_kit.tied": '{"b": "gone"}'}},
        {"__metadata__": {"cobra_kit.sha256": "0" * 64}},
        {"__metadata__": {"cobra_kit.sha256": "short"}},
    ],
)
def test_a_safetensors_header_that_lies(tmp_path: Path, header: dict[str, Any]) -> None:
    if "a" not in header:
        header["a"] = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    refused(safetensors(tmp_path / "w.safetensors", header, FOUR["0"]), "truncated or damaged")


INDICES: dict[str, tuple[object, str]] = {
    "itself": ({"weight_map": {"a": "model.safetensors.index.json"}}, "names an index as a shard"),
    "the folder above": ({"weight_map": {"a": "../w.safetensors"}}, "lies outside the folder"),
    "an absolute path": ({"weight_map": {"a": "/etc/passwd"}}, "lies outside the folder"),
    "a number": ({"weight_map": {"a": 1}}, "no weight_map"),
    "a list": ({"weight_map": ["a"]}, "no weight_map"),
    "no mapping": ([1], "truncated or damaged"),
    "another shard": ({"weight_map": {"a": "2.safetensors", "b": "1.safetensors"}}, "other shards than 1.safetensors"),
}


@pytest.mark.parametrize("name", list(INDICES))
def test_an_index_that_lies(tmp_path: Path, name: str) -> None:
    content, match = INDICES[name]
    for number, tensor_name in ((1, "a"), (2, "b")):
        save_file({tensor_name: torch.full((2,), float(number))}, tmp_path / f"{number}.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps(content))
    refused(index, match)


@pytest.mark.parametrize(
    "content",
    [b"[" * 1_000_000, b'{"weight_map": ' + b'{"a":' * 100_000, b"\xff\xfe{}", b"\0" * 99],
    ids=["lists", "mappings", "UTF-16", "NULs"],
)
def test_an_index_that_is_garbled(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors.index.json").write_bytes(content)
    refused(tmp_path / "model.safetensors.index.json", "truncated or damaged")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.bin", "model.safetensors.index.json"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    errors: list[str] = []

    def read() -> None:
        for reader in (load_tensors, load_metadata):
            try:
                reader(tmp_path / name)
            except WeightsError as error:
                errors.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(200)
    assert len(errors) == 2
    assert all("pipe" in error and name in error for error in errors)


@pytest.mark.parametrize(
    "tree",
    [
        {"a": torch.ones(3), "n": 5, "list": [1, [2, (3, 4)]], "keys": {1: "x", (0, 1): 2.5, None: b"bytes"}},
        OrderedDict(model=OrderedDict(w=torch.nn.Parameter(torch.ones(2, 2))), optimizer={"state": {0: torch.ones(9)}}),
        {
            "a": torch.ones(4, dtype=torch.bfloat16),
            "c": torch.ones(2) > 0,
        },
        {
            "a": torch.ones(8)[2:5],
            "b": torch.arange(6.0).reshape(2, 3).t(),
            "empty": torch.ones(0, 7),
            "n": torch.tensor(1),
        },
        {
            "mask": torch.ones(1).expand(64, 64),
            "size": torch.Size([2]),
            "device": torch.device("cpu"),
            "t": torch.float16,
        },
        {
            "rng": torch.get_rng_state(),
            "complex": torch.ones(2, dtype=torch.complex64),
            "byte": bytearray(b"ab"),
            "s": set(),
        },
        torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)).state_dict(),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_trainers_write_is_read(tmp_path: Path, tree: Any, zipped: bool) -> None:
    torch.save(tree, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    loaded = load_tensors(tmp_path / "w.pt")
    expected = torch.load(tmp_path / "w.pt", weights_only=True)
    expected = {f"model.{k}": v for k, v in expected["model"].items()} if "model" in expected else expected
    tensors = {name: value for name, value in expected.items() if isinstance(value, torch.Tensor)}
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name].float(), value.float()) for name, value in tensors.items() if name != "complex")


def test_a_file_written_without_checksums_is_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(3)}, tmp_path / "w.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert torch.equal(load_tensors(tmp_path / "w.pt")["a"], torch.ones(3))


def changed(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_changed_byte_of_a_tensor_in_an_archive_is_noticed(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"model": {"a": torch.arange(999.0)}, "optimizer": {"state": {0: torch.full((999,), 7.0)}}}, buffer)
    content = buffer.getvalue()
    weights = content.index(torch.arange(999.0).numpy().tobytes())
    moments = content.index(torch.full((999,), 7.0).numpy().tobytes())
    (tmp_path / "w.pt").write_bytes(changed(content, weights + 1234))
    refused(tmp_path / "w.pt", r"not what was written, their checksums differ: \w+/data/0")
    (tmp_path / "w.pt").write_bytes(changed(content, moments + 1234))
    assert torch.equal(load_tensors(tmp_path / "w.pt")["model.a"], torch.arange(999.0)), "nobody reads the moments"


@pytest.mark.parametrize("swap", [lambda c: c.replace(b"aa", b"zz").replace(b"bb", b"aa").replace(b"zz", b"bb")])
def test_two_names_that_changed_places_in_an_archive_are_noticed(
    tmp_path: Path, swap: Callable[[bytes], bytes]
) -> None:
    buffer = io.BytesIO()
    torch.save({"aa": torch.ones(3), "bb": torch.zeros(3)}, buffer)
    (tmp_path / "w.pt").write_bytes(swap(buffer.getvalue()))
    refused(tmp_path / "w.pt", r"data\.pkl is not what was written")


def test_a_new_number_type_in_an_archive(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2, dtype=torch.float8_e4m3fn)}, tmp_path / "w.pt")
    assert load_tensors(tmp_path / "w.pt")["a"].float().tolist() == [1, 1]
