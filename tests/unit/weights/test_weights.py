from __future__ import annotations

import argparse
import errno
import json
import os
import resource
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cobra_kit.errors import DamagedWeightsError, WeightsError
from cobra_kit.weights import load_into, load_metadata, load_tensors, save_tensors


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    same_types = all(left[name].dtype == right[name].dtype for name in left if name in right)
    return left.keys() == right.keys() and same_types and all(torch.equal(left[n], right[n]) for n in left)


def some_tensors() -> dict[str, Tensor]:
    return {"a.w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.bfloat16), "n": torch.tensor(3)}


def shuffled(named: dict[str, Any], random: Any) -> dict[str, Any]:
    pairs = list(named.items())
    random.shuffle(pairs)
    return dict(pairs)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3, 2)
        self.head = nn.Linear(2, 3, bias=False)
        self.head.weight = self.embedding.weight


class TestLoadTensors:
    def test_a_safetensors_file_and_its_folder(self, tmp_path: Path) -> None:
        save_file(some_tensors(), tmp_path / "model.safetensors")
        assert equal(load_tensors(tmp_path / "model.safetensors"), some_tensors())
        assert equal(load_tensors(str(tmp_path)), some_tensors())

    @pytest.mark.parametrize("name", ["pytorch_model.bin", "x.pt", "x.pth", "x.ckpt"])
    @pytest.mark.parametrize("zipped", [True, False])
    def test_a_pytorch_file(self, tmp_path: Path, name: str, zipped: bool) -> None:
        torch.save(some_tensors(), tmp_path / name, _use_new_zipfile_serialization=zipped)
        assert equal(load_tensors(tmp_path / name), some_tensors())

    def test_nested_mappings_are_flattened_and_what_is_no_tensor_is_left_out(self, tmp_path: Path) -> None:
        tree = {"epoch": 3, "model": {"projector": {"projector.0.weight": torch.ones(2)}, "note": "x"}}
        torch.save(tree, tmp_path / "latest.pt")
        assert equal(load_tensors(tmp_path / "latest.pt"), {"model.projector.projector.0.weight": torch.ones(2)})

    @pytest.mark.parametrize(("stem", "suffix"), [("model", "safetensors"), ("pytorch_model", "bin")])
    def test_shards(self, tmp_path: Path, stem: str, suffix: str) -> None:
        sharded(tmp_path, stem, suffix)
        assert equal(load_tensors(tmp_path), some_tensors())
        assert equal(load_tensors(tmp_path / f"{stem}.{suffix}.index.json"), some_tensors())

    def test_safetensors_go_before_pickles(self, tmp_path: Path) -> None:
        save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
        torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
        assert load_tensors(tmp_path)["a"].item() == 1


def sharded(folder: Path, stem: str = "model", suffix: str = "safetensors") -> Path:
    write = save_file if suffix == "safetensors" else torch.save
    places = {}
    for number, (name, tensor) in enumerate(some_tensors().items()):
        places[name] = f"{stem}-{number}.{suffix}"
        write({name: tensor}, folder / places[name])
    index = folder / f"{stem}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return index


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran-code",)


class TestBadCheckpoints:
    def test_missing_names_what_was_looked_for(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"gone: no such checkpoint\n +Looked for a file \(\.safetensors, \.bin"):
            load_tensors(tmp_path / "gone")

    def test_an_empty_folder_names_what_was_looked_for(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"holds no checkpoint\n.* folder with model\.safetensors\.index\.json"):
            load_tensors(tmp_path)

    def test_unknown_suffix(self, tmp_path: Path) -> None:
        (tmp_path / "w.h5").write_bytes(b"x")
        with pytest.raises(WeightsError, match=r"w\.h5: no known form of checkpoint: \.h5\n +Looked for"):
            load_tensors(tmp_path / "w.h5")

    @pytest.mark.parametrize("keep", [0, 5, 40, 0.5, 0.99])
    @pytest.mark.parametrize("name", ["w.safetensors", "w.bin", "old.bin"])
    def test_truncated(self, tmp_path: Path, name: str, keep: float) -> None:
        if name == "w.safetensors":
            save_file({"a": torch.ones(500)}, tmp_path / name)
        else:
            torch.save({"a": torch.ones(500)}, tmp_path / name, _use_new_zipfile_serialization=name == "w.bin")
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
        with pytest.raises(WeightsError, match=rf"{name}: the checkpoint is truncated or damaged \([\d,]+ bytes\)"):
            load_tensors(tmp_path / name)

    @pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
    def test_a_page_of_html(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("<html>404 not found</html>")
        with pytest.raises(WeightsError, match=rf"{name}: the checkpoint is truncated or damaged[\s\S]*Fetch or write"):
            load_tensors(tmp_path / name)

    @settings(max_examples=60, deadline=None)
    @given(content=st.binary(max_size=200), name=st.sampled_from(["w.safetensors", "w.bin", "m.index.json"]))
    def test_any_bytes(self, tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
        path = tmp_path_factory.mktemp("any") / name
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"truncated or damaged|holds no named tensors|refused"):
            load_tensors(path)

    def test_a_pickle_with_code_is_refused_and_does_not_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        torch.save({"a": torch.ones(1), "b": Code()}, tmp_path / "evil.pt")
        with pytest.raises(
            WeightsError,
            match=r"evil\.pt: refused: this pickle asks for posix\.system, and .*\n +Use a safetensors file",
        ):
            load_tensors("evil.pt")
        assert not (tmp_path / "ran-code").exists()

    def test_a_pickled_namespace_is_refused_by_name(self, tmp_path: Path) -> None:
        torch.save({"a": torch.ones(1), "args": argparse.Namespace(x=1)}, tmp_path / "w.pt")
        with pytest.raises(WeightsError, match=r"refused: this pickle asks for argparse\.Namespace"):
            load_tensors(tmp_path / "w.pt")

    @pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
    def test_a_file_that_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        if name == "w.bin":
            torch.save(some_tensors(), tmp_path / name)
        else:
            (tmp_path / name).touch()
        monkeypatch.setattr("cobra_kit.weights.reading.load_file", refuse)
        monkeypatch.setattr(torch, "load", refuse)
        with pytest.raises(WeightsError, match=rf"{name}: cannot be read: .*Permission denied"):
            load_tensors(tmp_path / name)

    def test_no_named_tensors(self, tmp_path: Path) -> None:
        torch.save([torch.ones(1)], tmp_path / "w.pt")
        with pytest.raises(WeightsError, match="holds no named tensors but a list"):
            load_tensors(tmp_path / "w.pt")

    def test_a_pickle_of_the_old_form_is_measured_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        torch.save(some_tensors(), tmp_path / "w.bin", _use_new_zipfile_serialization=False)
        monkeypatch.setattr("cobra_kit.weights.memory.available_memory", lambda: 10)
        with pytest.raises(WeightsError, match=r"w\.bin: loading needs .* GiB of memory, and 0\.0 GiB are available"):
            load_tensors(tmp_path / "w.bin")

    def test_missing_shards(self, tmp_path: Path) -> None:
        sharded(tmp_path)
        (tmp_path / "model-1.safetensors").unlink()
        with pytest.raises(WeightsError, match=r"index\.json: 1 of 3 shards are missing: model-1\.safetensors"):
            load_tensors(tmp_path)

    def test_a_shard_without_its_tensor(self, tmp_path: Path) -> None:
        sharded(tmp_path)
        save_file({"other": torch.ones(1)}, tmp_path / "model-1.safetensors")
        with pytest.raises(WeightsError, match=r"damaged .*: no shard holds b"):
            load_tensors(tmp_path)

    @pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'])
    def test_a_damaged_index(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "model.safetensors.index.json").write_text(content)
        with pytest.raises(WeightsError, match=r"index\.json: the checkpoint is truncated or damaged"):
            load_tensors(tmp_path)

    def test_a_shard_elsewhere(self, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../secret.safetensors"}}')
        with pytest.raises(WeightsError, match=r"a shard lies outside the folder: \.\./secret\.safetensors"):
            load_tensors(tmp_path)


class TestLoadInto:
    def test_parameters_and_buffers_are_filled_in_the_modules_dtype(self) -> None:
        source, target = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
        source.running_mean.normal_()  # type: ignore[union-attr]
        given_tensors = {n: t.half() if t.is_floating_point() else t for n, t in source.state_dict().items()}
        load_into(target, given_tensors, source="x")
        assert target.weight.dtype == torch.float32
        torch.testing.assert_close(target.running_mean, source.running_mean, rtol=1e-3, atol=1e-3)

    def test_prefix_takes_its_own_and_ignores_the_rest(self) -> None:
        module = nn.Linear(2, 1, bias=False)
        load_into(module, {"p.weight": torch.ones(1, 2), "q.weight": torch.zeros(9)}, source="x", prefix="p.")
        assert module.weight.tolist() == [[1, 1]]

    def test_a_prefix_that_nothing_has(self) -> None:
        with pytest.raises(WeightsError, match=r"^x: no tensor's name begins with 'p\.'\n +It has q\.weight\."):
            load_into(nn.Linear(2, 1), {"q.weight": torch.zeros(9)}, source="x", prefix="p.")

    def test_one_message_names_all_that_does_not_fit_and_nothing_is_loaded(self) -> None:
        module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.BatchNorm1d(3))
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        given_tensors = {
            "0.weight": torch.zeros(2, 3),
            "0.bias": torch.zeros(3),
            "1.weight": torch.zeros(3, 3, dtype=torch.int8),
            "foo": torch.zeros(1),
        }
        with pytest.raises(WeightsError) as caught:
            load_into(module, given_tensors, source="some.bin")
        assert str(caught.value).splitlines() == [
            "some.bin: the checkpoint does not fit Sequential (3 of 9 names found)",
            "       6 missing: 1.bias, 2.weight, 2.bias, 2.running_mean, 2.running_var, and 1 more",
            "       1 extra: foo",
            "       1 of another shape: 0.weight is [2, 3] in the checkpoint, [3, 2] in the model",
            "       1 of another number type: 1.weight is torch.int8 in the checkpoint, torch.float32 in the model",
            "       Check that the config describes the model that the checkpoint was made from.",
        ]
        assert equal(before, module.state_dict())

    def test_allowed_missing_keeps_its_value_and_allowed_extra_is_left_out(self) -> None:
        module = nn.Linear(2, 1)
        bias = module.bias.item()
        given_tensors = {"weight": torch.ones(1, 2), "head.w": torch.ones(1), "head.b": torch.ones(1)}
        load_into(module, given_tensors, source="x", allow_missing=["bias"], allow_extra=["head.*"])
        assert module.weight.tolist() == [[1, 1]]
        assert module.bias.item() == bias
        with pytest.raises(WeightsError, match=r"1 extra: head\.w"):
            load_into(module, given_tensors, source="x", allow_missing=["bias"], allow_extra=["head.b"])

    @pytest.mark.parametrize("names", [["embedding.weight"], ["head.weight"], ["embedding.weight", "head.weight"]])
    def test_of_tied_parameters_one_name_is_enough(self, names: list[str]) -> None:
        module = Tied()
        load_into(module, dict.fromkeys(names, torch.full((3, 2), 7.0)), source="x")
        assert (module.head.weight == 7).all()
        assert module.head.weight is module.embedding.weight

    def test_no_name_of_tied_parameters_is_missing_both(self) -> None:
        with pytest.raises(WeightsError, match=r"2 missing: embedding\.weight, head\.weight"):
            load_into(Tied(), {}, source="x")

    def test_tied_parameters_that_differ_in_the_checkpoint(self) -> None:
        values = {"embedding.weight": torch.zeros(3, 2), "head.weight": torch.ones(3, 2)}
        with pytest.raises(WeightsError, match=r"1 tied in the model but not in the checkpoint: embedding\.weight and"):
            load_into(Tied(), values, source="x")

    def test_a_module_without_memory(self) -> None:
        with torch.device("meta"):
            module = nn.Linear(2, 1, bias=False)
        with pytest.raises(WeightsError, match=r"on the meta device\n +Allocate it first"):
            load_into(module, {"weight": torch.ones(1, 2)}, source="x")

    def test_gradients_do_not_flow_into_the_checkpoint(self) -> None:
        module, value = nn.Linear(2, 1, bias=False), nn.Parameter(torch.ones(1, 2))
        load_into(module, {"weight": value}, source="x")
        assert module.weight.is_leaf
        assert module.weight.grad_fn is None


class TestSaveTensors:
    @given(
        tensors=st.dictionaries(
            st.text(min_size=1), st.sampled_from([torch.ones(3), torch.arange(4), torch.ones(2).half()])
        ),
        metadata=st.dictionaries(st.text(), st.text(), max_size=8),
        random=st.randoms(use_true_random=False),
    )
    @settings(max_examples=30, deadline=None)
    def test_equal_content_gives_equal_bytes(self, tmp_path_factory, tensors, metadata, random) -> None:  # type: ignore[no-untyped-def]
        folder = tmp_path_factory.mktemp("order")
        tensors.pop("__metadata__", None)
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        files = []
        for i in range(4):
            save_tensors(folder / f"{i}.safetensors", shuffled(tensors, random), shuffled(metadata, random))
            files.append((folder / f"{i}.safetensors").read_bytes())
        assert len(set(files)) == 1
        assert equal(load_tensors(folder / "0.safetensors"), tensors)
        assert load_metadata(folder / "0.safetensors") == {"format": "pt", **metadata}

    def test_round_trip_with_metadata(self, tmp_path: Path) -> None:
        save_tensors(tmp_path / "w.safetensors", some_tensors(), {"made": "here"})
        assert equal(load_tensors(tmp_path / "w.safetensors"), some_tensors())
        assert equal(load_file(tmp_path / "w.safetensors"), some_tensors())
        assert b'"made":"here"' in (tmp_path / "w.safetensors").read_bytes()
        assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]

    def test_tied_tensors_are_stored_once_and_come_back_under_both_names(self, tmp_path: Path) -> None:
        module = Tied()
        save_tensors(tmp_path / "w.safetensors", module.state_dict())
        assert list(load_file(tmp_path / "w.safetensors")) == ["embedding.weight"]
        assert equal(load_tensors(tmp_path / "w.safetensors"), module.state_dict())

    def test_views_of_one_storage_are_stored_apart(self, tmp_path: Path) -> None:
        whole = torch.arange(12.0).reshape(3, 4)
        views = {"whole": whole, "row": whole[1], "turned": whole.T, "half": whole[:, ::2]}
        save_tensors(tmp_path / "w.safetensors", views)
        assert equal(load_tensors(tmp_path / "w.safetensors"), {n: v.contiguous() for n, v in views.items()})

    def test_empty_tensors_are_not_tied(self, tmp_path: Path) -> None:
        save_tensors(tmp_path / "w.safetensors", {"a": torch.empty(0), "b": torch.empty(0)})
        assert set(load_file(tmp_path / "w.safetensors")) == {"a", "b"}

    def test_a_full_disk_found_at_the_flush_leaves_the_old_file_and_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save_tensors(tmp_path / "w.safetensors", {"a": torch.zeros(1)})

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(WeightsError, match=r"w\.safetensors: cannot write: .*No space left[\s\S]*Make room"):
            save_tensors(tmp_path / "w.safetensors", {"a": torch.ones(1)})
        assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
        assert load_tensors(tmp_path / "w.safetensors")["a"].item() == 0

    def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_other(self, tmp_path: Path) -> None:
        save_tensors(tmp_path / "w.safetensors", {"a": torch.zeros(1)})
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # no file may grow beyond it: as good as a full disk
        try:
            with pytest.raises(WeightsError, match=r"w\.safetensors: cannot write: .*File too large"):
                save_tensors(tmp_path / "w.safetensors", {"a": torch.ones(100_000)})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
        assert load_tensors(tmp_path / "w.safetensors")["a"].item() == 0

    def test_permissions_follow_the_umask(self, tmp_path: Path) -> None:
        old = os.umask(0o027)
        try:
            save_tensors(tmp_path / "w.safetensors", some_tensors())
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / "w.safetensors").stat().st_mode) == 0o640

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="cannot write"):
            save_tensors(tmp_path / "none" / "w.safetensors", some_tensors())

    def test_tensors_without_values(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="no values to write"):
            save_tensors(tmp_path / "w.safetensors", {"a": torch.empty(1, device="meta")})


class TestShortage:
    """A file that cannot be read here and now is not called damaged or missing."""

    @pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
    def test_no_open_files_left(self, tmp_path: Path, name: str) -> None:
        save_file({"a": torch.ones(3)}, tmp_path / "w.safetensors")
        torch.save({"a": torch.ones(3)}, tmp_path / "w.pt")
        load_tensors(tmp_path / name)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        low = os.dup(0)
        os.close(low)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (low, limits[1]))
            with pytest.raises(WeightsError, match=r"cannot be read: .*Too many open files.*\n.*ulimit -n") as raised:
                load_tensors(tmp_path / name)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert not isinstance(raised.value, DamagedWeightsError)

    @pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
    def test_no_memory_left(self, tmp_path: Path, name: str) -> None:
        tensors = {"a": torch.zeros(50_000_000)}
        save_file(tensors, tmp_path / "w.safetensors") if name == "w.safetensors" else torch.save(
            tensors, tmp_path / name
        )
        load_tensors(tmp_path / name)
        limits = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        try:
            resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000, limits[1]))
            with pytest.raises(WeightsError, match="cannot be read: there is not enough memory, or address") as raised:
                load_tensors(tmp_path / name)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
        assert not isinstance(raised.value, DamagedWeightsError)
