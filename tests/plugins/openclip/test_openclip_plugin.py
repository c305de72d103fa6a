"""What the plugin declares without torch, and how it prepares images, against open_clip's own transform."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from cobra_kit.plugin import VisionEncoderSpec
from cobra_kit_openclip.config import AnyConfig, ClipL336Config, OpenClipConfig, So400m384Config
from cobra_kit_openclip.encoder import OpenClipEncoder
from cobra_kit_openclip.plugin import cobra_vision_encoders

SPECS = list(cobra_vision_encoders())


def noise_image(width: int, height: int) -> Image.Image:
    red = Image.linear_gradient("L").resize((width, height))
    green = Image.radial_gradient("L").resize((width, height))
    return Image.merge("RGB", (red, green, Image.effect_noise((width, height), 60)))


def test_names() -> None:
    assert [spec.name for spec in SPECS] == ["clip-l-336", "so400m-384", "any"]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_configs_and_classes(spec: VisionEncoderSpec) -> None:
    assert spec.unfinished is None
    module, name = spec.config.split(":")
    config = getattr(importlib.import_module(module), name)
    assert config.component == f"openclip/{spec.name}"
    assert all(field.description for field in config.model_fields.values())
    assert config().weights == "hub"
    assert config.tiny().weights == "none"
    module, name = spec.target.split(":")
    assert getattr(importlib.import_module(module), name) is OpenClipEncoder


def test_misspelled_key() -> None:
    with pytest.raises(ValidationError, match="modle"):
        AnyConfig.model_validate({"modle": "ViT-B-16"})


def test_imports_no_torch() -> None:
    code = (
        "import sys, cobra_kit_openclip.config, cobra_kit_openclip.plugin as p; list(p.cobra_vision_encoders())\n"
        "sys.exit(' '.join(m for m in ('torch', 'open_clip') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "config",
    [
        ClipL336Config(resize="published"),
        So400m384Config(resize="published"),
        AnyConfig(resize="published"),
        AnyConfig(model="ViT-L-14-CLIPA", pretrained="datacomp1b", resize="published"),  # bilinear
    ],
    ids=lambda config: f"{config.model}",
)
@pytest.mark.parametrize("size", [(640, 480), (301, 451), (100, 90)])
def test_published_pixels_equal_open_clip_s_transform(config: OpenClipConfig, size: tuple[int, int]) -> None:
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict

    tag = open_clip.get_pretrained_cfg(config.model, config.pretrained)
    side = open_clip.get_model_config(config.model)["vision_cfg"]["image_size"]
    settings = PreprocessCfg(**{**merge_preprocess_dict(PreprocessCfg(), tag), "size": side})
    image = noise_image(*size)
    expected = image_transform_v2(settings, is_train=False)(image)
    got = OpenClipEncoder.preprocess(config)(image).tensors["openclip"]
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-6)


def test_the_published_rules() -> None:
    """CLIP crops; SigLIP stretches, with statistics that open_clip leaves out where it loads no weights."""
    clip, siglip = OpenClipEncoder.preprocess(ClipL336Config()), OpenClipEncoder.preprocess(So400m384Config())
    assert clip.mean == (0.48145466, 0.4578275, 0.40821073)
    assert siglip.mean == siglip.std == (0.5, 0.5, 0.5)
    assert OpenClipEncoder.preprocess(ClipL336Config(resize="published")).resize_rule == "crop"
    assert OpenClipEncoder.preprocess(So400m384Config(resize="published")).resize_rule == "naive"
    assert clip.resize_rule == siglip.resize_rule == "naive"


@pytest.mark.parametrize("how", ["naive", "crop", "letterbox", "published"])
def test_preparing_is_picklable_and_has_the_announced_shape(how: Any) -> None:
    config = ClipL336Config.tiny().model_copy(update={"resize": how})
    prepare = pickle.loads(pickle.dumps(OpenClipEncoder.preprocess(config)))
    prepared = prepare(noise_image(90, 50))
    assert prepared.tensors["openclip"].shape == (3, 64, 64)
    assert prepared.shape == OpenClipEncoder.max_shape(config)


def test_prepared_images_travel_without_open_clip() -> None:
    """Data workers would pay seconds for its import."""
    code = (
        "import sys\n"
        "from PIL import Image\n"
        "from cobra_kit.interfaces import TokenShape\n"
        "from cobra_kit_openclip.preprocess import Pixels\n"
        "Pixels((8, 8), 'naive', (0.5,) * 3, (0.5,) * 3, 'bicubic', TokenShape(1))(Image.new('RGB', (9, 7)))\n"
        "sys.exit('open_clip' if 'open_clip' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
