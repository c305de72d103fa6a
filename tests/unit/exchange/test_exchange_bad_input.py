"""What does not fit is named, what is dangerous is refused, what is half written is never taken for whole."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import threading

import pytest
import torch

import cobra_kit
from cobra_kit.errors import CobraError, PluginError, WeightsError
from cobra_kit.exchange import export_model, import_checkpoint
from cobra_kit.model import compose

LATEST = "checkpoints/latest-checkpoint.pt"


@pytest.fixture
def theirs(model, tmp_path):
    export_model(model, format="cobra", out=tmp_path / "theirs")
    return tmp_path / "theirs"


def test_missing_extra_and_misshaped_tensors_come_in_one_message(theirs, recipe, tmp_path):
    content = torch.load(theirs / LATEST, weights_only=True)
    del content["model"]["projector"]["projector.2.bias"]
    del content["model"]["llm_backbone"]["llm.backbone.norm_f.weight"]
    content["model"]["projector"]["projector.6.weight"] = torch.ones(2)
    content["model"]["llm_backbone"]["llm.backbone.layers.0.mixer.D"] = torch.ones(3)
    torch.save(content, theirs / LATEST)
    with pytest.raises(WeightsError) as caught:
        import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")
    assert str(caught.value).splitlines()[:-1] == [
        f"{theirs / LATEST}: the checkpoint does not fit RecipeModel (27 of 29 names found)",
        "       2 missing: model.projector.projector.2.bias, model.llm_backbone.llm.backbone.norm_f.weight",
        "       1 extra: model.projector.projector.6.weight",
        "       1 of another shape: model.llm_backbone.llm.backbone.layers.0.mixer.D is [3] in the checkpoint, "
        "[64] in the model",
    ]
    assert not (tmp_path / "ours").exists()


def test_one_name_of_a_tied_head_is_enough_and_two_values_are_too_many(theirs, recipe, model, tmp_path):
    content = torch.load(theirs / LATEST, weights_only=True)
    llm = content["model"]["llm_backbone"]
    head = llm.pop("llm.lm_head.weight")
    torch.save(content, theirs / LATEST)
    import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")
    assert torch.equal(cobra_kit.load(tmp_path / "ours").backbone.lm_head.weight, model.backbone.lm_head.weight)
    llm["llm.lm_head.weight"] = head + 1
    torch.save(content, theirs / LATEST)
    with pytest.raises(WeightsError, match=r"1 tied in the model but not in the checkpoint: .*lm_head.weight"):
        import_checkpoint(theirs, recipe=recipe, out=tmp_path / "again")


@pytest.mark.parametrize("keep", [0, 100, 0.5, -1])
def test_a_truncated_checkpoint(theirs, recipe, tmp_path, keep):
    whole = (theirs / LATEST).read_bytes()
    (theirs / LATEST).write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(WeightsError, match=r"latest-checkpoint.pt: the checkpoint is truncated or damaged"):
        import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))])
def test_a_pickle_with_code_is_refused_and_not_run(theirs, recipe, tmp_path, save):
    save({"model": {"projector": Attack(tmp_path / "attacked")}}, theirs / LATEST)
    with pytest.raises(WeightsError) as caught:
        import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")
    assert not (tmp_path / "attacked").exists()
    assert "refused: this pickle asks for posix.mkdir, and reading it could run anything" in str(caught.value)


def test_other_parts_than_the_recipe_s_are_named(theirs, recipe, tmp_path):
    config = json.loads((theirs / "config.json").read_text())
    config["model"] |= {
        "arch_specifier": "no-align+fused-ldpnet",
        "llm_backbone_id": "mamba-2.8b-zephyr",
        "image_resize_strategy": "letterbox",
        "llm_max_length": 1024,
    }
    (theirs / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError) as caught:
        import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")
    assert str(caught.value).splitlines() == [
        f"{theirs / 'config.json'}: the checkpoint has other parts than the recipe",
        "       arch_specifier: no-align+fused-ldpnet in the checkpoint, fused-gelu-mlp in the recipe",
        "       llm_backbone_id: mamba-2.8b-zephyr in the checkpoint, mamba/tiny in the recipe",
        "       image_resize_strategy: letterbox in the checkpoint, resize-naive in the recipe",
        "       llm_max_length: 1024 in the checkpoint, 2048 in the recipe",
        "       To compose what the checkpoint has: --set model.projector.use=ldpv2/fused "
        "--set model.backbone.use=mamba/2.8b-zephyr --set model.vision_encoder.resize=letterbox "
        "--set model.backbone.max_text_tokens=1024",
        "       To take its projector alone: --format prismatic",
    ]


def test_how_it_was_trained_is_no_other_part(theirs, recipe, tmp_path):
    config = json.loads((theirs / "config.json").read_text())
    config["model"]["arch_specifier"] = "no-align+fused-gelu-mlp"
    (theirs / "config.json").write_text(json.dumps(config))
    import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")


def test_the_config_may_stand_beside_the_file(theirs, recipe, tmp_path):
    for name in ("latest-checkpoint.pt", "config.json"):
        source = theirs / ("checkpoints" if name.endswith(".pt") else ".") / name
        (tmp_path / name).write_bytes(source.read_bytes())
    notes = import_checkpoint(tmp_path / "latest-checkpoint.pt", recipe=recipe, out=tmp_path / "ours")
    assert not any("no config.json" in note for note in notes)


def test_a_damaged_config(theirs, recipe, tmp_path):
    (theirs / "config.json").write_text('{"model": {')
    with pytest.raises(WeightsError, match=r"config.json: line 1, column 12: not JSON .*\n +Fetch the file again"):
        import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")


def test_a_trained_encoder_is_not_dropped_in_silence(theirs, recipe, tmp_path):
    content = torch.load(theirs / LATEST, weights_only=True)
    content["model"]["vision_backbone"] = {"featurizer.pos_embed": torch.ones(2)}
    torch.save(content, theirs / LATEST)
    with pytest.raises(WeightsError, match="holds a trained vision encoder"):
        import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")
    import_checkpoint(theirs, recipe=recipe, format="prismatic", out=tmp_path / "ours")


def test_a_file_of_no_known_format(recipe, tmp_path):
    torch.save({"encoder.weight": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"of no known format: its names are encoder\.weight") as caught:
        import_checkpoint(tmp_path / "other.pt", recipe=recipe, out=tmp_path / "ours")
    assert caught.value.hint == "Formats that are read: cobra, prismatic, llava, projector."


def test_no_such_file_and_no_such_format(recipe, model, tmp_path):
    with pytest.raises(WeightsError, match="no such checkpoint"):
        import_checkpoint(tmp_path / "nowhere", recipe=recipe, out=tmp_path / "ours")
    with pytest.raises(CobraError, match="no format named 'gguf'"):
        export_model(model, format="gguf", out=tmp_path / "theirs")
    with pytest.raises(WeightsError, match="the format huggingface needs no import"):
        import_checkpoint(tmp_path, recipe=recipe, format="huggingface", out=tmp_path / "ours")


def test_an_exported_folder_needs_no_import(recipe, model, tmp_path):
    export_model(model, format="huggingface", out=tmp_path / "theirs")
    with pytest.raises(WeightsError, match="needs no import") as caught:
        import_checkpoint(tmp_path / "theirs", recipe=recipe, out=tmp_path / "ours")
    assert f"cobra_kit.load('{tmp_path / 'theirs'}')" in str(caught.value)


def test_the_authors_form_knows_one_fusion(recipe, tmp_path):
    model = compose(recipe, overrides=["model.fusion.use=fusion/in-place"])
    with pytest.raises(WeightsError, match="no place for fusion/in-place: it always means all images first"):
        export_model(model, format="cobra", out=tmp_path / "theirs")
    assert not (tmp_path / "theirs").exists()


def test_more_than_the_memory_is_refused_before_reading(theirs, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("cobra_kit.weights.memory.available_memory", lambda: 1000)
    with pytest.raises(WeightsError, match="loading needs"):
        import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")


def test_a_folder_is_replaced_only_by_force_and_only_if_it_is_one_of_ours(model, tmp_path):
    out = tmp_path / "theirs"
    export_model(model, format="projector", out=out)
    with pytest.raises(CobraError, match=r"is there already and holds projector.safetensors\n.*--force"):
        export_model(model, format="llava", out=out)
    assert [entry.name for entry in out.iterdir()] == ["projector.safetensors"]
    export_model(model, format="llava", out=out, force=True)
    assert [entry.name for entry in out.iterdir()] == ["mm_projector.bin"]
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(CobraError, match=r"holds other things: thesis.tex\n.*with --force either"):
        export_model(model, format="llava", out=out, force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(CobraError, match="is there already and is no folder"):
        export_model(model, format="llava", out=tmp_path / "file", force=True)


def test_nothing_replaces_what_it_is_made_from(theirs, recipe, tmp_path, monkeypatch):
    for out in (theirs, theirs / "checkpoints" / "..", tmp_path):
        with pytest.raises(CobraError, match="this is where the model is read from"):
            import_checkpoint(theirs / LATEST, recipe=recipe, out=out, force=True)
    monkeypatch.chdir(theirs)
    with pytest.raises(CobraError, match="this is where the model is read from"):
        import_checkpoint(LATEST, recipe=recipe, out=".", force=True)


def test_the_working_folder_can_be_written(model, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    export_model(model, format="projector", out=".")
    assert [entry.name for entry in (tmp_path / "empty").iterdir()] == ["projector.safetensors"]


def test_an_error_while_writing_leaves_what_was_there(model, tmp_path, monkeypatch):
    out = tmp_path / "theirs"
    export_model(model, format="huggingface", out=out)
    before = {entry.name: entry.read_bytes() for entry in out.iterdir()}

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cobra_kit.model.checkpoint.save_tensors", full)
    with pytest.raises(CobraError, match="cannot write: No space left on device"):
        export_model(model, format="huggingface", out=out, force=True)
    assert {entry.name: entry.read_bytes() for entry in out.iterdir()} == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mlp_fused.yaml", "theirs"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a killed process is made with fork")
def test_a_killed_export_leaves_no_folder_of_that_name(model, tmp_path, monkeypatch):
    child = os.fork()
    if not child:
        monkeypatch.setattr(
            "cobra_kit.model.checkpoint.save_tensors", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        )
        export_model(model, format="huggingface", out=tmp_path / "theirs")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not (tmp_path / "theirs").exists()
    [left] = [entry for entry in tmp_path.iterdir() if entry.name.endswith(".tmp")]
    assert (left / "config.json").is_file()
    with pytest.raises(WeightsError, match=r"is not a saved model: model.safetensors not found"):
        cobra_kit.VisionLanguageModel.from_pretrained(left)
    export_model(model, format="huggingface", out=tmp_path / "theirs")


def test_published_names_that_do_not_fit(model, tmp_path, monkeypatch):
    monkeypatch.setattr(type(model.projector), "published_names", lambda self: {"projector.0.weight": "w", "x": "y"})
    with pytest.raises(PluginError, match=r"published_names\(\) of mlp/fused does not fit its state_dict\(\): .*x"):
        export_model(model, format="llava", out=tmp_path / "theirs")
    monkeypatch.setattr(type(model.projector), "published_names", lambda self: dict.fromkeys(self.state_dict(), "w"))
    with pytest.raises(PluginError, match="two tensors have one published name"):
        export_model(model, format="llava", out=tmp_path / "theirs")


def test_a_stranger_s_part_says_its_published_names(model, recipe, tmp_path, monkeypatch):
    def renamed(self):
        return {name: name.replace("projector.", "projector.layers.") for name in self.state_dict()}

    monkeypatch.setattr(type(model.projector), "published_names", renamed)
    export_model(model, format="projector", out=tmp_path / "theirs")
    import_checkpoint(tmp_path / "theirs", recipe=recipe, out=tmp_path / "ours")
    loaded = cobra_kit.load(tmp_path / "ours").projector
    assert torch.equal(loaded.projector[2].weight, model.projector.projector[2].weight)


HOSTILE_CONFIGS = [
    b"",
    b"\0" * 500,
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"model":' * 50_000,
    b'{"model": {"arch_specifier": ["a"], "llm_backbone_id": {"b": 1}, "image_resize_strategy": [2]}}',
    b'{"model": {"arch_specifier": "\\u001b]0;x\\u0007' + b"y" * 100_000 + b'"}}',
    b'{"model": {"llm_max_length": "$(touch ran-code); `touch ran-code`"}}',
    b'{"model": {"llm_max_length": 1' + b"0" * 10_000 + b"}}",
    b'{"model_type": ["cobra_kit"], "model": {"llm_max_length": null}}',
]


@pytest.mark.parametrize("content", HOSTILE_CONFIGS, ids=range(len(HOSTILE_CONFIGS)))
def test_a_config_that_somebody_built(theirs, recipe, tmp_path, content):
    (theirs / "config.json").write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")
    text = str(caught.value)
    assert str(theirs / "config.json") in text
    assert len(text) < 2000
    assert "\x1b" not in text
    assert "--set model.backbone.max_text_tokens=$(" not in text
    assert not (tmp_path / "ours").exists()


def test_a_config_with_infinity_as_transformers_writes_it(theirs, recipe, tmp_path):
    config = json.loads((theirs / "config.json").read_text())
    (theirs / "config.json").write_text(json.dumps({**config, "time_step_limit": [0.0, float("inf")]}))
    import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours")
    kept = json.loads((tmp_path / "ours" / "imported.json").read_text())
    assert kept["config"]["time_step_limit"] == [0.0, "inf"]


@pytest.mark.parametrize("place", ["config.json", LATEST, "."])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(theirs, recipe, tmp_path, place):
    if place == ".":
        shutil.rmtree(theirs)
    else:
        (theirs / place).unlink()
    os.mkfifo(theirs / place)
    outcomes = []

    def read():
        try:
            outcomes.extend(import_checkpoint(theirs, recipe=recipe, out=tmp_path / "ours"))
        except CobraError as error:
            outcomes.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(200)
    expected = "no config.json describes" if place == "config.json" else str(theirs)
    assert any(expected in outcome for outcome in outcomes)


@pytest.mark.parametrize("format", ["cobra", "prismatic", "llava", "projector", "huggingface"])
def test_exported_weights_that_changed_are_noticed(model, recipe, tmp_path, format):
    folder = tmp_path / "out"
    export_model(model, format=format, out=folder)
    (weights,) = [path for path in folder.rglob("*") if path.suffix in {".pt", ".bin", ".safetensors"}]
    content = bytearray(weights.read_bytes())
    tensor = model.projector.state_dict()["projector.0.weight"].numpy().tobytes()
    start = content.index(tensor[:64])
    for i in range(39):
        content[start + i] ^= 8
    weights.write_bytes(content)

    def opened():
        if format == "huggingface":
            return cobra_kit.load(folder)
        return import_checkpoint(folder, recipe=recipe, out=tmp_path / "ours")

    with pytest.raises(WeightsError, match=rf"{weights.name}: the checkpoint is truncated or damaged .*differ"):
        opened()


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_an_exported_tokenizer_that_changed_is_noticed(model, tmp_path, name):
    from cobra_kit.exchange.huggingface.processor import CobraKitProcessor

    export_model(model, format="huggingface", out=tmp_path / "out")
    file = tmp_path / "out" / name
    content = file.read_bytes()
    for damaged in (content.replace(b"e", b"f", 1), b"", None):
        file.unlink()
        if damaged is not None:
            file.write_bytes(damaged)
        for opened in (cobra_kit.load, CobraKitProcessor.from_pretrained):
            with pytest.raises(WeightsError, match=rf"{name}: is (not what|missing).*\n +Fetch or export the folder"):
                opened(tmp_path / "out")
    export_model(model, format="huggingface", out=tmp_path / "out", force=True)
    assert cobra_kit.load(tmp_path / "out")
