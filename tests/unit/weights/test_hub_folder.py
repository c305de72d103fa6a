"""The hub, near and far: a fake cache, a server on the loopback, and every way in which it can fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fake_hub import COMMIT, FakeHub, etag, fill_cache, use_cache, use_server
from safetensors.torch import save

from cobra_kit.errors import WeightsError
from cobra_kit.weights import hub_file, hub_folder, load_tensors

REPOSITORY = "somebody/model"
FILES = {
    "config.json": b'{"a": 1}',
    "model.safetensors": save({"w": torch.arange(300.0)}),
    "notes/long.md": b"text",
}
ASK = {"patterns": ["*.safetensors", "config.json"], "where": "siglip/so400m-384: weights: hub"}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_cache(monkeypatch, tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    from huggingface_hub import _tree_cache

    monkeypatch.setattr(_tree_cache, "_IN_MEMORY_TREE_CACHE", {})
    use_cache(monkeypatch, tmp_path / "cache", offline=False)
    hub = FakeHub(REPOSITORY, FILES)
    with hub.serve() as address:
        use_server(monkeypatch, address)
        yield hub


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start of the program, without a network: nothing is remembered in memory."""
    from huggingface_hub import _tree_cache, constants

    monkeypatch.setattr(_tree_cache, "_IN_MEMORY_TREE_CACHE", {})
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


class TestInTheCache:
    def test_what_is_there_needs_no_network(self, cache: Path) -> None:
        snapshot = fill_cache(cache, REPOSITORY, FILES)
        assert hub_folder(REPOSITORY, **ASK) == snapshot
        assert load_tensors(snapshot)["w"].shape == (300,)

    def test_nothing_there_says_what_was_wanted_and_how_to_go_on(self, cache: Path) -> None:
        with pytest.raises(WeightsError) as caught:
            hub_folder(REPOSITORY, **ASK)
        assert str(caught.value).splitlines() == [
            "siglip/so400m-384: weights: hub: wanted *.safetensors, config.json of the hub repository somebody/model, "
            f"which is not in {cache}; the network may not be used (HF_HUB_OFFLINE)",
            "       With the hub in reach, run the same again: what is there already is not fetched twice.",
            "       Without the hub: fetch it elsewhere (hf download somebody/model --local-dir model), copy the "
            "folder here and name it in the recipe (weights: PATH/model); or set HF_HOME to a cache that has it.",
        ]

    def test_a_revision_is_named(self, cache: Path) -> None:
        fill_cache(cache, REPOSITORY, FILES)
        with pytest.raises(WeightsError, match=r"repository somebody/model at v2, which is not in"):
            hub_folder(REPOSITORY, revision="v2", **ASK)

    def test_none_of_the_wanted_files(self, cache: Path) -> None:
        fill_cache(cache, REPOSITORY, {"README.md": b"x"})
        with pytest.raises(WeightsError, match=r"repository somebody/model, but it has no such file\n"):
            hub_folder(REPOSITORY, **ASK)

    def test_a_link_to_a_blob_that_is_gone(self, cache: Path) -> None:
        snapshot = fill_cache(cache, REPOSITORY, FILES)
        (snapshot / "model.safetensors").resolve().unlink()
        with pytest.raises(WeightsError, match=r"the files behind model\.safetensors are gone from its cache"):
            hub_folder(REPOSITORY, **ASK)

    def test_an_unfinished_download_of_an_older_client(self, cache: Path) -> None:
        """It kept no list of files, so nobody can tell whether the unfinished one is among the wanted."""
        fill_cache(cache, REPOSITORY, {"config.json": FILES["config.json"]})
        blobs = cache / "models--somebody--model" / "blobs"
        (blobs / "abc123.incomplete").write_bytes(FILES["model.safetensors"][:99])
        with pytest.raises(WeightsError, match=r"but an interrupted download left abc123\.incomplete in .*blobs\n"):
            hub_folder(REPOSITORY, **ASK)
        (blobs / "abc123").write_bytes(b"whole")  # another download of the same file was finished
        hub_folder(REPOSITORY, **ASK)


class TestDownloads:
    def test_only_what_is_wanted_and_only_once(self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = hub_folder(REPOSITORY, **ASK)
        assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
        assert folder.name == COMMIT
        assert load_tensors(folder)["w"][299] == 299
        assert sorted(hub.received) == ["config.json", "model.safetensors"]
        hub_folder(REPOSITORY, **ASK)
        assert len(hub.received) == 2
        go_offline(monkeypatch)
        assert hub_folder(REPOSITORY, **ASK) == folder

    @pytest.mark.parametrize("offline", [True, False])
    def test_an_interrupted_download_is_never_taken_for_whole(
        self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, offline: bool
    ) -> None:
        monkeypatch.setattr("time.sleep", lambda _: None)  # the client waits between its own attempts
        hub.cut = {"model.safetensors"}
        with pytest.raises(
            WeightsError, match=r"^siglip/so400m-384: weights: hub: wanted .*somebody/model, but the do"
        ):
            hub_folder(REPOSITORY, **ASK)
        if offline:
            go_offline(monkeypatch)
            with pytest.raises(
                WeightsError, match=r"of which an interrupted download left only a part in .*; the network may not be"
            ):
                hub_folder(REPOSITORY, **ASK)
        else:
            hub.cut = set()
            assert load_tensors(hub_folder(REPOSITORY, **ASK))["w"][299] == 299

    def test_what_a_kill_left_behind_does_not_stop_the_next(self, hub: FakeHub, tmp_path: Path) -> None:
        blobs = tmp_path / "cache" / "models--somebody--model" / "blobs"
        blobs.mkdir(parents=True)
        (blobs / f"{etag(FILES['model.safetensors'])}.1a2b3c4d.incomplete").write_bytes(b"half")
        assert load_tensors(hub_folder(REPOSITORY, **ASK))["w"][299] == 299

    @pytest.mark.parametrize(
        ("refusal", "message"),
        [
            ((404, "RepoNotFound"), r"somebody/model, which does not exist there, or is private\n +Check its name; a"),
            ((403, "GatedRepo"), r"somebody/model, which is gated: [^\n]*\n +Ask for access at http://127\.0\.0\.1"),
            ((404, "RevisionNotFound"), r"somebody/model, which has no such revision\n +Check the revision"),
            ((418, "Teapot"), r"somebody/model, which is not in .*cannot be reached \(HfHubHTTPError: .*418"),
        ],
    )
    def test_refusals(self, hub: FakeHub, refusal: tuple[int, str], message: str) -> None:
        hub.refusal = refusal
        with pytest.raises(WeightsError, match=message):
            hub_folder(REPOSITORY, **ASK)

    def test_no_server(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("time.sleep", lambda _: None)
        use_cache(monkeypatch, cache, offline=False)
        with FakeHub(REPOSITORY, FILES).serve() as address:
            use_server(monkeypatch, address)
        with pytest.raises(WeightsError, match=rf"which is not in {cache}; {address} cannot be reached \(ConnectError"):
            hub_folder(REPOSITORY, **ASK)

    def test_of_several_names_the_first_that_is_there(self, hub: FakeHub) -> None:
        hub.files["old.bin"] = b"x"
        where = "openclip/any: weights: hub"
        assert hub_file(REPOSITORY, ["model.safetensors", "old.bin"], where=where).name == "model.safetensors"
        assert hub.received == ["model.safetensors"]
        assert hub_file(REPOSITORY, ["none.safetensors", "old.bin"], where=where).read_bytes() == b"x"
        with pytest.raises(WeightsError, match=r"any: weights: hub: wanted a\.bin of .*, but it has no such file"):
            hub_file(REPOSITORY, ["a.safetensors", "a.bin"], where=where)

    def test_another_file_is_no_stand_in_for_one_that_was_interrupted(
        self, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.sleep", lambda _: None)
        hub.files["old.bin"] = b"x"
        hub.cut = {"model.safetensors"}
        with pytest.raises(WeightsError, match=r"wanted model\.safetensors of .*, but the download failed"):
            hub_file(REPOSITORY, ["model.safetensors", "old.bin"], where="x")
        assert "old.bin" not in hub.received

    def test_no_name(self, cache: Path) -> None:
        with pytest.raises(WeightsError, match=r"which is no repository name: .*\n +Check its name"):
            hub_folder("a/b/c", **ASK)
