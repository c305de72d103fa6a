"""Published weights, in both forms and both generations, and everything that can be wrong with a folder of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from mamba_checks import build, sequence
from torch import Tensor

from cobra_kit.errors import WeightsError
from cobra_kit.weights import save_tensors
from cobra_kit_mamba import config as configs
from cobra_kit_mamba import pretrained
from cobra_kit_mamba.backbone import MambaBackbone, MambaLanguageModel
from cobra_kit_mamba.config import MambaConfig, MambaFamilyConfig, MambaTinyConfig
from cobra_kit_mamba.mamba2_config import MambaTwoConfig
from cobra_kit_mamba.pretrained import own_names

SIZES: dict[str, Any] = {"d_model": 32, "n_layer": 2, "d_state": 8, "vocab_size": 101, "tokenizer": "small"}
GENERATIONS = ["mamba", "mamba2"]


def config_of(generation: str, **values: Any) -> MambaFamilyConfig:
    given = SIZES | {"weights": "none"} | values
    return MambaConfig(**given) if generation == "mamba" else MambaTwoConfig(head_dim=16, **given)


def model_of(generation: str, seed: int = 0, **values: Any) -> MambaLanguageModel:
    return build(config_of(generation, **values), seed)  # type: ignore[call-overload,no-any-return]


def state_spaces_config(generation: str) -> dict[str, Any]:
    mixer: dict[str, Any] = {"d_state": 8}
    if generation == "mamba2":
        mixer |= {"layer": "Mamba2", "headdim": 16}
    return {
        "d_model": 32,
        "n_layer": 2,
        "vocab_size": 101,
        "ssm_cfg": mixer,
        "rms_norm": True,
        "residual_in_fp32": True,
        "fused_add_norm": True,
        "pad_vocab_size_multiple": 8 if generation == "mamba" else 16,
    }


def state_spaces_folder(folder: Path, generation: str, **changed: Any) -> MambaLanguageModel:
    """Writes a folder as state-spaces publishes it, and returns the model whose weights it holds."""
    trained = model_of(generation, seed=5)
    (folder / "config.json").write_text(json.dumps(state_spaces_config(generation) | changed))
    torch.save(trained.state_dict(), folder / "pytorch_model.bin")
    return trained


def transformers_folder(folder: Path, generation: str, shard: str = "5GB") -> transformers.PreTrainedModel:
    torch.manual_seed(3)
    shared = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}
    if generation == "mamba":
        model = transformers.MambaForCausalLM(transformers.MambaConfig(vocab_size=104, **shared))
    else:
        heads = {"num_heads": 4, "head_dim": 16, "n_groups": 1, "tie_word_embeddings": True}
        model = transformers.Mamba2ForCausalLM(transformers.Mamba2Config(vocab_size=112, **shared, **heads))
    model.save_pretrained(folder, max_shard_size=shard)
    return model.eval()


@pytest.mark.parametrize("generation", GENERATIONS)
def test_folder_of_state_spaces(tmp_path: Path, generation: str) -> None:
    trained = state_spaces_folder(tmp_path, generation)
    model = model_of(generation, weights=str(tmp_path))
    model.load_pretrained()
    assert all(torch.equal(t, trained.state_dict()[n]) for n, t in model.state_dict().items())
    assert model.lm_head.weight is model.backbone.embedding.weight


@pytest.mark.parametrize("shard", ["5GB", "20KB"], ids=["one file", "shards"])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_folder_of_transformers(tmp_path: Path, generation: str, shard: str) -> None:
    theirs = transformers_folder(tmp_path, generation, shard)
    assert ((tmp_path / "model.safetensors.index.json").exists()) == (shard == "20KB")
    model = model_of(generation, weights=str(tmp_path))
    model.load_pretrained()
    ids = torch.randint(0, 101, (1, 30), generator=torch.Generator().manual_seed(3))
    logits = model.logits(model(sequence(model.embed(ids[0])[None])))
    torch.testing.assert_close(logits, theirs(ids).logits, rtol=1e-4, atol=1e-4)


def test_first_upload_of_mamba_7b(tmp_path: Path) -> None:
    # TRI-ML/mamba-7b-rw, commit 2501def: open_lm's keys, and it saves the model under `model.` (open_lm/model.py)
    trained = model_of("mamba", seed=5, d_state=16)
    keys = {"d_model": 32, "n_layer": 2, "vocab_size": 101, "seq_len": 2048}
    (tmp_path / "config.json").write_text(json.dumps(keys))
    torch.save({f"model.{n}": t for n, t in trained.state_dict().items()}, tmp_path / "pytorch_model.bin")
    model = model_of("mamba", d_state=16, weights=str(tmp_path))
    model.load_pretrained()
    assert all(torch.equal(t, trained.state_dict()[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize(
    ("published", "own"),
    [
        ("backbone.embeddings.weight", "backbone.embedding.weight"),
        ("backbone.embedding.weight", "backbone.embedding.weight"),
        ("backbone.layers.3.mixer.A_log", "backbone.layers.3.mixer.A_log"),
        ("lm_head.weight", "lm_head.weight"),
        ("something.else", "something.else"),
    ],
)
@pytest.mark.parametrize("around", ["", "model.", "module.model."])
def test_names_are_translated(published: str, own: str, around: str) -> None:
    given = {f"{around}backbone.norm_f.weight": torch.ones(1), f"{around}{published}": torch.ones(2)}
    assert set(own_names(given)) == {"backbone.norm_f.weight", own}


def test_names_of_a_model_without_its_head() -> None:
    given = {"norm_f.weight": torch.ones(1), "embeddings.weight": torch.ones(2), "layers.0.norm.weight": torch.ones(1)}
    assert set(own_names(given)) == {
        "backbone.norm_f.weight",
        "backbone.embedding.weight",
        "backbone.layers.0.norm.weight",
    }


@pytest.mark.parametrize(
    ("config", "files"),
    [
        (configs.Mamba2800mZephyrConfig, ("config.json", "pytorch_model.bin")),
        (configs.Mamba7bConfig, ("config.json", "*.safetensors", "model.safetensors.index.json")),
    ],
)
def test_hub_repository_is_asked_for_its_model_only(
    config: type[MambaConfig], files: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def hub_folder(repository: str, *, patterns: Sequence[str], where: str) -> Path:
        asked.extend([repository, tuple(patterns), where])
        return tmp_path

    monkeypatch.setattr(pretrained, "hub_folder", hub_folder)
    trained = state_spaces_folder(tmp_path, "mamba")
    model = build(config(**{**SIZES, "tokenizer": "gpt-neox-20b"}))
    model.load_pretrained()
    assert asked == [config.hub_id, files, f"{config.hub_id}: weights: hub"]
    assert torch.equal(model.lm_head.weight, trained.lm_head.weight)


def test_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    model = build(configs.Mamba2800mZephyrConfig(d_model=16, n_layer=1, vocab_size=8))
    with pytest.raises(WeightsError) as caught:
        model.load_pretrained()
    text = str(caught.value)
    assert text.startswith("xiuyul/mamba-2.8b-zephyr: weights: hub: wanted config.json, pytorch_model.bin")
    assert "weights: PATH" in text
    assert "HF_HOME" in text


def test_weights_that_nobody_publishes() -> None:
    for kind in ("hub", "packaged"):
        with pytest.raises(WeightsError, match=f"no weights of the kind '{kind}'"):
            build(MambaTinyConfig(vocab_size=8, weights=kind)).load_pretrained()
    build(MambaTinyConfig(vocab_size=8)).load_pretrained()


@pytest.mark.parametrize("generation", GENERATIONS)
def test_other_sizes_are_all_named(tmp_path: Path, generation: str) -> None:
    state_spaces_folder(tmp_path, generation, d_model=64, vocab_size=200)
    with pytest.raises(WeightsError) as caught:
        model_of(generation, weights=str(tmp_path), n_layer=3, residual_in_fp32=False).load_pretrained()
    rows = (200, 104) if generation == "mamba" else (208, 112)
    assert caught.value.message == (
        "the published model differs from the component in 4 settings: d_model is 64 there, 32 here; "
        f"n_layer is 2 there, 3 here; vocab_size, padded, is {rows[0]} there, {rows[1]} here; "
        "residual_in_fp32 is True there, False here"
    )
    assert caught.value.where == str(tmp_path / "config.json")


def test_other_sizes_in_transformers_form(tmp_path: Path) -> None:
    transformers_folder(tmp_path, "mamba2")
    with pytest.raises(WeightsError) as caught:
        model_of("mamba2", weights=str(tmp_path), d_state=16, norm_eps=1e-6, expand=4).load_pretrained()
    assert caught.value.message == (
        "the published model differs from the component in 4 settings: state_size is 8 there, 16 here; expand is "
        "2 there, 4 here; layer_norm_epsilon is 1e-05 there, 1e-06 here; num_heads is 4 there, 8 here"
    )


def test_a_limit_on_time_steps_is_not_ignored(tmp_path: Path) -> None:
    transformers_folder(tmp_path, "mamba2")
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"time_step_limit": [0.01, 0.5]}))
    with pytest.raises(WeightsError, match=r"in 1 settings: time_step_limit is \[0.01, 0.5\] there, \[0.0, inf\] here"):
        model_of("mamba2", weights=str(tmp_path)).load_pretrained()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 32},
            "holds a model of the type llama (LlamaForCausalLM), and this component is of the type mamba",
        ),
        ({"model_type": "mamba2"}, "holds a model of the type mamba2, and this component is of the type mamba"),
        (state_spaces_config("mamba2"), "holds a model of the type mamba2, and this component is of the type mamba"),
        (
            {"dim": 4096, "n_heads": 32},
            "describes no language model: it has neither `model_type` nor `d_model` and `n_layer` "
            "(its keys: dim, n_heads)",
        ),
        ([1], "holds no settings but a list"),
    ],
)
def test_folder_of_another_model_says_what_it_holds(tmp_path: Path, content: object, message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(WeightsError) as caught:
        model_of("mamba", weights=str(tmp_path)).load_pretrained()
    assert caught.value.message == message
    assert caught.value.where == str(tmp_path / "config.json")


def test_folder_without_settings_and_one_with_damaged_ones(tmp_path: Path) -> None:
    model = model_of("mamba", weights=str(tmp_path))
    with pytest.raises(WeightsError, match=r"the folder has no config.json(.|\n)*name the file with the weights"):
        model.load_pretrained()
    (tmp_path / "config.json").write_text('{"d_model": ')
    with pytest.raises(WeightsError, match=r"config.json: cannot be read: (.|\n)*Fetch the file again"):
        model.load_pretrained()


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nowhere: no such checkpoint"):
        model_of("mamba", weights=str(tmp_path / "nowhere")).load_pretrained()


@pytest.mark.parametrize("generation", GENERATIONS)
def test_tensors_that_do_not_fit_are_named_and_nothing_is_loaded(tmp_path: Path, generation: str) -> None:
    trained = state_spaces_folder(tmp_path, generation)
    tensors: dict[str, Tensor] = dict(trained.state_dict())
    mixer = "backbone.layers.1.mixer."
    del tensors[mixer + "D"]
    tensors["backbone.layers.2.norm.weight"] = torch.ones(32)
    tensors[mixer + "out_proj.weight"] = torch.ones(32, 63)
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    model = model_of(generation, weights=str(tmp_path))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        model.load_pretrained()
    text = str(caught.value)
    assert f"1 missing: {mixer}D" in text
    assert "1 extra: backbone.layers.2.norm.weight" in text
    assert f"{mixer}out_proj.weight is [32, 63] in the checkpoint, [32, 64] in the model" in text
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_head_that_is_not_tied_is_refused(tmp_path: Path) -> None:
    trained = state_spaces_folder(tmp_path, "mamba")
    tensors = trained.state_dict() | {"lm_head.weight": torch.zeros(104, 32)}
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"1 tied in the model but not in the checkpoint: backbone.embedding"):
        model_of("mamba", weights=str(tmp_path)).load_pretrained()


def test_truncated_file(tmp_path: Path) -> None:
    state_spaces_folder(tmp_path, "mamba")
    for name in ("pytorch_model.bin", "model.safetensors"):
        file = tmp_path / name
        if name == "model.safetensors":
            save_tensors(file, model_of("mamba").state_dict())
        file.write_bytes(file.read_bytes()[:-200])
        with pytest.raises(WeightsError, match=rf"{name}: the checkpoint is truncated or damaged"):
            model_of("mamba", weights=str(tmp_path)).load_pretrained()


def test_weights_from_a_file(tmp_path: Path) -> None:
    trained = build(MambaTinyConfig(vocab_size=50), seed=5)
    path = tmp_path / "model.safetensors"
    save_tensors(path, trained.state_dict())
    model = build(MambaTinyConfig(vocab_size=50, weights=str(path)))
    model.load_pretrained()
    assert all(torch.equal(t, trained.state_dict()[n]) for n, t in model.state_dict().items())
    assert model.lm_head.weight is model.backbone.embedding.weight
    untied = {name: tensor for name, tensor in trained.state_dict().items() if name != "lm_head.weight"}
    save_tensors(path, untied)
    model.load_pretrained()
    save_tensors(path, {name: tensor for name, tensor in untied.items() if "A_log" not in name})
    with pytest.raises(WeightsError, match=r"2 missing: backbone.layers.0.mixer.A_log"):
        model.load_pretrained()


MEMORY = """
import sys
import torch
from cobra_kit_mamba.backbone import MambaBackbone
from cobra_kit_mamba.config import MambaConfig

def anonymous():
    with open("/proc/self/status") as lines:
        return int(dict(line.split(":") for line in lines)["RssAnon"].split()[0])

copy, watched = torch.Tensor.copy_, []
def watching(self, *args, **kwargs):
    result = copy(self, *args, **kwargs)
    watched.append(anonymous())
    return result
torch.Tensor.copy_ = watching
for path in sys.argv[1:]:
    with torch.device("meta"):
        model = MambaBackbone(MambaConfig(d_model=512, n_layer=12, vocab_size=8192, tokenizer="small", weights=path))
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(0.5)
    before = anonymous()
    watched.clear()
    model.load_pretrained()
    assert model.lm_head.weight[0, 0] == 0.25
    print(max(watched) - before, max(p.nbytes for p in model.parameters()) >> 10, len(watched))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status, which only Linux has")
def test_loading_takes_no_second_copy_of_the_model(tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = MambaBackbone(MambaConfig(d_model=512, n_layer=12, vocab_size=8192, tokenizer="small", weights="none"))
    tensors = {name: torch.full(t.shape, 0.25) for name, t in shapes.state_dict().items() if name != "lm_head.weight"}
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    save_tensors(tmp_path / "model.safetensors", tensors)
    files = [str(tmp_path / name) for name in ("pytorch_model.bin", "model.safetensors")]
    done = subprocess.run([sys.executable, "-c", MEMORY, *files], capture_output=True, text=True, check=True)
    assert sum(t.nbytes for t in tensors.values()) > 95e6
    for line in done.stdout.splitlines():
        grown, largest, copies = map(int, line.split())
        assert copies == len(tensors)
        assert grown <= largest, line  # kilobytes; the largest tensor has a sixth of them all


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"\0" * 99, b"\xff\xfe", b"", b'{"d_model": 1' + b"0" * 9999 + b"}"]
)
def test_a_config_that_somebody_built(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(WeightsError, match=r"config\.json: cannot be read: (.|\n)*Fetch the file again"):
        pretrained._read_config(tmp_path)


def test_a_config_with_infinity_as_transformers_writes_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"time_step_limit": [0.0, Infinity]}')
    assert pretrained._read_config(tmp_path)
