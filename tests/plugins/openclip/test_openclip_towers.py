"""Tokens and weights against open_clip itself, at small sizes; sizes of the real ones on the meta device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_hub import fill_cache, use_cache
from openclip_checks import HUB, MODELS, NAMES, build, penultimate, registered, tokens_of, whole_model
from rounding import check_same
from safetensors.torch import save, save_file
from torch import Tensor

from cobra_kit.errors import RecipeError, ShapeError, WeightsError
from cobra_kit.interfaces import TokenShape
from cobra_kit_openclip.config import AnyConfig, ClipL336Config, OpenClipConfig, So400m384Config
from cobra_kit_openclip.encoder import OpenClipEncoder
from cobra_kit_openclip.tower import pixels_of

every = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def small_models(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with registered(tmp_path_factory.mktemp("models"), monkeypatch):
        yield


def images_for(name: str, count: int = 2) -> Tensor:
    side = 56 if "clip" in name and "sig" not in name else 160
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


class TestTokens:
    @every
    def test_they_are_what_open_clip_s_second_to_last_block_returns(self, name: str, tmp_path: Path) -> None:
        model = whole_model(name)
        save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
        encoder = build(AnyConfig(model=name, pretrained="test", weights=str(tmp_path)))
        expected = penultimate(model, images_for(name))
        assert expected.shape == (2, 16 if "clip" in name and "sig" not in name else 100, encoder.width)
        check_same(tokens_of(encoder, images_for(name)), expected)

    def test_the_activation_is_that_of_the_weights(self, tmp_path: Path) -> None:
        model = whole_model("small-clip")
        save_file(model.state_dict(), tmp_path / "w.safetensors")
        exact, quick = (
            tokens_of(build(AnyConfig(model=name, pretrained="test", weights=str(tmp_path / "w.safetensors"))), images)
            for name, images in ((n, images_for(n)) for n in ("small-clip", "small-clip-quickgelu"))
        )
        assert not torch.allclose(exact, quick, atol=1e-3)

    def test_quick_gelu_follows_the_tag_where_the_model_says_otherwise(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """`ViT-L-14-336` with OpenAI's weights is such a case: open_clip itself only warns."""
        from open_clip import pretrained

        monkeypatch.setitem(pretrained._PRETRAINED["small-clip"], "openai", pretrained._pcfg(quick_gelu=True))
        model = whole_model("small-clip-quickgelu")
        save_file(model.state_dict(), tmp_path / "w.safetensors")
        encoder = build(AnyConfig(model="small-clip", pretrained="openai", weights=str(tmp_path / "w.safetensors")))
        check_same(tokens_of(encoder, images_for("small-clip")), penultimate(model, images_for("small-clip")))

    def test_they_are_llava_s(self) -> None:
        """LLaVA reads `hidden_states[-2][:, 1:]` of transformers' CLIP, another implementation."""
        from transformers import CLIPVisionConfig, CLIPVisionModel

        encoder = build(AnyConfig(model="small-clip-quickgelu", pretrained="test", weights="none"))
        config = CLIPVisionConfig(
            hidden_size=48,
            intermediate_size=192,
            num_hidden_layers=4,
            num_attention_heads=3,
            image_size=56,
            patch_size=14,
        )
        reference = CLIPVisionModel(config).eval()
        reference.load_state_dict(in_transformers_names(encoder.visual.state_dict(), reference.state_dict()))
        images = images_for("small-clip")
        with torch.no_grad():
            expected = reference(images, output_hidden_states=True).hidden_states[-2][:, 1:]
        torch.testing.assert_close(tokens_of(encoder, images), expected, atol=1e-5, rtol=1e-5)

    @every
    def test_a_batch_equals_its_images(self, name: str) -> None:
        encoder = build(AnyConfig(model=name, pretrained="test", weights="none"))
        images = images_for(name, 3)
        alone = torch.cat([tokens_of(encoder, image[None]) for image in images])
        torch.testing.assert_close(tokens_of(encoder, images), alone, atol=1e-5, rtol=1e-5)

    @every
    def test_what_never_runs_gets_no_gradient_and_is_not_needed(self, name: str) -> None:
        config = AnyConfig(model=name, pretrained="test", weights="none")
        encoder = build(config)
        shapes = (OpenClipEncoder.max_shape(config),) * 2
        encoder({"openclip": images_for(name)}, shapes).values.square().sum().backward()
        idle = sum(p.numel() for p in encoder.parameters() if p.grad is None)
        assert idle == sum(encoder.unused_parameters().values()) > 0
        lean = build(config.model_copy(update={"keep_unused": False}))
        lean.load_state_dict({n: t for n, t in encoder.state_dict().items() if n in lean.state_dict()})
        check_same(tokens_of(lean, images_for(name)), tokens_of(encoder, images_for(name)))
        assert sum(p.numel() for p in encoder.parameters()) - sum(p.numel() for p in lean.parameters()) == idle
        assert len(lean.blocks()) == len(encoder.blocks())

    @every
    def test_no_text_tower_is_built(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("a text tower")

        monkeypatch.setattr("open_clip.model.TextTransformer", refuse)
        build(AnyConfig(model=name, pretrained="test", weights="none"))

    def test_reset_leaves_torch_s_own_random_state_alone(self) -> None:
        torch.manual_seed(5)
        expected = torch.rand(1)
        torch.manual_seed(5)
        build(AnyConfig(model="small-clip", pretrained="test", weights="none"))
        assert torch.equal(torch.rand(1), expected)

    def test_bfloat16(self) -> None:
        encoder = build(AnyConfig(model="small-clip", pretrained="test", weights="none"))
        images = images_for("small-clip")
        full = tokens_of(encoder, images)
        half = tokens_of(encoder.to(torch.bfloat16), images.bfloat16())
        assert half.dtype == torch.bfloat16
        assert (half.float() - full).abs().mean() < 0.02 * full.abs().mean()


def in_transformers_names(ours: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """CLIP's weights under transformers' names; what it has beyond open_clip's tower keeps its values."""
    out = {
        "embeddings.class_embedding": ours["class_embedding"],
        "embeddings.patch_embedding.weight": ours["conv1.weight"],
        "embeddings.position_embedding.weight": ours["positional_embedding"],
        **{f"pre_layrnorm.{end}": ours[f"ln_pre.{end}"] for end in ("weight", "bias")},
        **{f"post_layernorm.{end}": ours[f"ln_post.{end}"] for end in ("weight", "bias")},
    }
    parts = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    for layer in range(4):
        here, there = f"transformer.resblocks.{layer}.", f"encoder.layers.{layer}."
        for end in ("weight", "bias"):
            out |= {f"{there}{name}.{end}": ours[f"{here}{part}.{end}"] for part, name in parts.items()}
            out[f"{there}self_attn.out_proj.{end}"] = ours[f"{here}attn.out_proj.{end}"]
            split = ours[f"{here}attn.in_proj_{end}"].chunk(3)
            out |= {f"{there}self_attn.{n}_proj.{end}": part for n, part in zip("qkv", split, strict=True)}
    prefix = "vision_model." if any(name.startswith("vision_model.") for name in wanted) else ""
    named = {f"{prefix}{name}": tensor for name, tensor in out.items()}
    return {**{n: t for n, t in wanted.items() if n.endswith("position_ids")}, **named}


class TestWeights:
    @pytest.mark.parametrize("file", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
    def test_the_hub_s(self, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = whole_model("small-siglip")
        use_cache(monkeypatch, tmp_path)
        content: bytes | Path = save(model.state_dict())
        if file.endswith(".bin"):
            torch.save(model.state_dict(), tmp_path / "w.bin")
            content = tmp_path / "w.bin"
        fill_cache(tmp_path, HUB, {file: content, "model.safetensors": b"timm's, and not asked for"})
        encoder = build(AnyConfig(model="small-siglip", pretrained="test"))
        for name, value in encoder.visual.state_dict().items():
            assert torch.equal(value, model.state_dict()[f"visual.{name}"]), name

    @pytest.mark.parametrize("config", [ClipL336Config(), So400m384Config()])
    def test_without_a_network_the_published_repositories_are_named(
        self, config: OpenClipConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_cache(monkeypatch, tmp_path)
        with torch.device("meta"):
            encoder = OpenClipEncoder(config)
        repository = {
            "openclip/clip-l-336": "timm/vit_large_patch14_clip_336.openai",
            "openclip/so400m-384": "timm/ViT-SO400M-14-SigLIP-384",
        }[config.component]
        wanted = rf"wanted open_clip_model\.safetensors of the hub repository {repository}, which"
        message = f"^{config.component}: weights: hub: {wanted}"
        with pytest.raises(WeightsError, match=message):
            encoder.load_pretrained()

    @pytest.mark.parametrize("prefix", ["visual.", "", "module.visual.", "state_dict/module.visual."])
    def test_every_form_of_checkpoint(self, prefix: str, tmp_path: Path) -> None:
        state = whole_model("small-clip").get_submodule("visual").state_dict()
        outer, _, inner = prefix.rpartition("/")
        named = {f"{inner}{name}": tensor for name, tensor in state.items()}
        torch.save({outer: named, "epoch": 3} if outer else named, tmp_path / "w.pt")
        encoder = build(AnyConfig(model="small-clip", pretrained="test", weights=str(tmp_path / "w.pt")))
        assert all(torch.equal(value, state[name]) for name, value in encoder.visual.state_dict().items())

    def test_timm_s_own_names(self, tmp_path: Path) -> None:
        state = whole_model("small-siglip").get_submodule("visual.trunk").state_dict()
        save_file(state, tmp_path / "model.safetensors")
        encoder = build(AnyConfig(model="small-siglip", pretrained="test", weights=str(tmp_path)))
        assert torch.equal(encoder.get_parameter("visual.trunk.pos_embed"), state["pos_embed"])

    @pytest.mark.parametrize(("name", "size"), [("small-clip", 84), ("small-siglip", 96), ("small-timm", (96, 128))])
    def test_positions_are_resampled_as_open_clip_does(self, name: str, size: Any, tmp_path: Path) -> None:
        model = whole_model(name)
        save_file(model.state_dict(), tmp_path / "w.safetensors")
        config = AnyConfig(model=name, pretrained="test", image_size=size, weights=str(tmp_path / "w.safetensors"))
        encoder = build(config)
        if name == "small-clip":
            from open_clip.factory import load_checkpoint

            resized = whole_model(name, force_image_size=size)
            load_checkpoint(resized, str(tmp_path / "w.safetensors"))
        else:
            resized = model
            resized.visual.set_input_size(size)
        pair = size if isinstance(size, tuple) else (size, size)
        images = torch.randn(1, 3, *pair)
        check_same(tokens_of(encoder, images), penultimate(resized, images))

    def test_what_does_not_fit_is_named_in_one_message(self, tmp_path: Path) -> None:
        state = whole_model("small-clip").state_dict()
        del state["visual.ln_pre.weight"]
        state["visual.surplus"] = torch.zeros(1)
        state["visual.conv1.weight"] = torch.zeros(48, 3, 16, 16)
        state["visual.positional_embedding"] = torch.zeros(13, 48)  # twelve patches are no square
        save_file(state, tmp_path / "w.safetensors")
        with pytest.raises(WeightsError) as caught:
            build(AnyConfig(model="small-clip", pretrained="test", weights=str(tmp_path / "w.safetensors")))
        for part in (
            "1 missing: ln_pre.weight",
            "1 extra: surplus",
            "2 of another shape: ",
            "positional_embedding is [13",
        ):
            assert part in str(caught.value)

    def test_another_model_s_weights(self, tmp_path: Path) -> None:
        save_file(whole_model("small-siglip").state_dict(), tmp_path / "w.safetensors")
        with pytest.raises(WeightsError, match=r"does not fit VisionTransformer \(0 of \d+ names found\)"):
            build(AnyConfig(model="small-clip", pretrained="test", weights=str(tmp_path / "w.safetensors")))

    @pytest.mark.parametrize(
        ("declared", "message"),
        [
            ({"model_cfg": {"quick_gelu": True}}, r"says quick_gelu: true, but small-clip with the tag test has false"),
            ({"preprocess_cfg": {"mean": [0.5, 0.5, 0.5]}}, r"says mean: \[0.5, 0.5, 0.5\], but small-clip with"),
            ({"preprocess_cfg": {"interpolation": "bilinear"}}, 'says interpolation: "bilinear", but small-clip with'),
            ({"preprocess_cfg": {"std": [1, "a", None]}}, r'says std: \[1, "a", null\], but'),
            ({"preprocess_cfg": []}, "cannot be read"),
            ([], "cannot be read"),
        ],
    )
    def test_weights_whose_own_config_says_something_else(self, declared: Any, message: str, tmp_path: Path) -> None:
        save_file(whole_model("small-clip").state_dict(), tmp_path / "open_clip_model.safetensors")
        config = AnyConfig(model="small-clip", pretrained="test", weights=str(tmp_path))
        (tmp_path / "open_clip_config.json").write_text(json.dumps(declared))
        for path in (tmp_path, tmp_path / "open_clip_model.safetensors"):
            with pytest.raises(WeightsError, match=rf"open_clip_config\.json: {message}"):
                build(config.model_copy(update={"weights": str(path)}))

    def test_weights_whose_own_config_agrees(self, tmp_path: Path) -> None:
        save_file(whole_model("small-clip-quickgelu").state_dict(), tmp_path / "open_clip_model.safetensors")
        prepared = {"mean": [0.48145466, 0.4578275, 0.40821073], "interpolation": "bicubic", "resize_mode": "shortest"}
        content = {"model_cfg": MODELS["small-clip-quickgelu"], "preprocess_cfg": prepared}
        (tmp_path / "open_clip_config.json").write_text(json.dumps(content))
        own = str(tmp_path / "open_clip_config.json")
        for model, tag in (("small-clip-quickgelu", "test"), (own, None)):
            encoder = build(AnyConfig(model=model, pretrained=tag, weights=str(tmp_path)))
            kinds = {type(module).__name__ for module in encoder.modules()}
            assert "QuickGELU" in kinds

    def test_a_model_without_published_weights(self) -> None:
        with pytest.raises(
            WeightsError, match=r"openclip/any: weights: hub: no published weights of small-clip are known"
        ):
            build(AnyConfig(model="small-clip", pretrained=None))


class TestModels:
    @pytest.mark.parametrize(
        ("config", "shape", "width", "parameters", "unused"),
        [
            (ClipL336Config(), TokenShape(576, (24, 24)), 1024, 304_293_888, 13_384_704),
            (So400m384Config(), TokenShape(729, (27, 27)), 1152, 428_225_600, 30_480_160),
            (AnyConfig(), TokenShape(49, (7, 7)), 768, 87_849_216, 7_482_624),
        ],
    )
    def test_full_size_on_meta(
        self, config: OpenClipConfig, shape: TokenShape, width: int, parameters: int, unused: int
    ) -> None:
        with torch.device("meta"):
            encoder = OpenClipEncoder(config)
            images = torch.empty(1, 3, *pixels_of(config))
        assert OpenClipEncoder.max_shape(config) == shape
        assert sum(p.numel() for p in encoder.parameters()) == parameters
        assert sum(encoder.unused_parameters().values()) == unused
        assert tokens_of(encoder, images).shape == (1, shape.num_tokens, width)
        assert len(encoder.blocks()) == encoder.anatomy.layer + 1

    @pytest.mark.parametrize(
        ("model", "pretrained", "message"),
        [
            ("ViT-B-23", "openai", r"openclip/any: model: open_clip .* has no model 'ViT-B-23'\n +Near it: .*ViT-B-32"),
            (
                "ViT-B-32",
                "opnai",
                r"openclip/any: pretrained: open_clip .* no weights 'opnai' of ViT-B-32\n +Its tags: opena",
            ),
            (
                "vit_medium_patch16_gap_256",
                "x",
                r"no weights 'x' of vit_medium_patch16_gap_256\n +None are published: set pretrained: null",
            ),
            (
                "small-convnext",
                "test",
                r"small-convnext is a ConvNeXt: it has no second-to-last block of patch tokens\n +Ch",
            ),
            ("small-resnet", "test", r"small-resnet is a ModifiedResNet: it has no second-to-last block"),
            ("gone.json", None, r"gone\.json is no model config of open_clip: FileNotFoundError"),
        ],
    )
    def test_models_that_cannot_be(self, model: str, pretrained: str | None, message: str) -> None:
        config = AnyConfig(model=model, pretrained=pretrained)
        for refuse in (OpenClipEncoder, OpenClipEncoder.max_shape, OpenClipEncoder.preprocess):
            with pytest.raises(RecipeError, match=message):
                refuse(config)

    def test_a_model_of_one_s_own(self, tmp_path: Path) -> None:
        vision = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 8}
        (tmp_path / "mine.json").write_text(json.dumps({"embed_dim": 8, "vision_cfg": vision}))
        config = AnyConfig(model=str(tmp_path / "mine.json"), pretrained=None, weights="none")
        assert tokens_of(build(config), torch.zeros(1, 3, 32, 32)).shape == (1, 16, 32)
        (tmp_path / "flat.json").write_text(json.dumps({"embed_dim": 8, "vision_cfg": {**vision, "layers": 1}}))
        own = {"model_cfg": {"embed_dim": 8, "vision_cfg": vision}, "preprocess_cfg": {"resize_mode": "longest"}}
        (tmp_path / "long.json").write_text(json.dumps(own))
        long = config.model_copy(update={"model": str(tmp_path / "long.json"), "resize": "published"})
        with pytest.raises(RecipeError, match=r"openclip/any: resize: published: .* its mode 'longest', which is none"):
            OpenClipEncoder.preprocess(long)
        with pytest.raises(RecipeError, match=r"flat\.json has 1 block: there is no second-to-last one"):
            OpenClipEncoder.max_shape(config.model_copy(update={"model": str(tmp_path / "flat.json")}))
        (tmp_path / "mine.json").write_text('{"embed_dim": 8}')
        with pytest.raises(RecipeError, match=r"mine\.json is no model config of open_clip: KeyError: 'vision_cfg'"):
            build(config.model_copy(update={"model": f"{tmp_path}/./mine.json"}))

    def test_wrong_images_are_named(self) -> None:
        encoder = build(AnyConfig(model="small-clip", pretrained="test", weights="none"))
        shape = OpenClipEncoder.max_shape(encoder.config)
        with pytest.raises(ShapeError, match="no images named openclip: got dino"):
            encoder({"dino": torch.zeros(1, 3, 56, 56)}, (shape,))
        with pytest.raises(ShapeError, match=r"takes images \[1, 3, 56, 56\] for 1 shapes, not \[2, 3, 56, 56\]"):
            encoder({"openclip": torch.zeros(2, 3, 56, 56)}, (shape,))
        with pytest.raises(
            ShapeError, match=r"returns TokenShape\(num_tokens=16.* announces TokenShape\(num_tokens=15"
        ):
            encoder({"openclip": torch.zeros(1, 3, 56, 56)}, (TokenShape(15),))
