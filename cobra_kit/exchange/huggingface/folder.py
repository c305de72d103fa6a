"""The files of an exported folder. It is a saved model of ours (recipe, lock, weights) with what transformers needs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cobra_kit import __version__
from cobra_kit.exchange.writing import recipe_of
from cobra_kit.files import write_json, write_text
from cobra_kit.model.checkpoint import TOKENIZER, save_pretrained
from cobra_kit.model.signature import composed_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from cobra_kit.interfaces import TextCodec
    from cobra_kit.model import VisionLanguageModel

MODEL_TYPE = "cobra_kit"
CODE = "modeling_cobra_kit.py"
_MODULE = CODE.removesuffix(".py")
_AUTO_MAP = {
    "AutoConfig": f"{_MODULE}.CobraKitConfig",
    "AutoModel": f"{_MODULE}.CobraKitModel",
    "AutoModelForImageTextToText": f"{_MODULE}.CobraKitModel",
    "AutoProcessor": f"{_MODULE}.CobraKitProcessor",
}
_CARD = """---
library_name: transformers
tags: [cobra-kit, image-text-to-text]
---
# {title}

{parts}

It needs cobra-kit and the plugins that `lock.json` names.

```python
from transformers import AutoModel, AutoProcessor

processor = AutoProcessor.from_pretrained("FOLDER", trust_remote_code=True)
model = AutoModel.from_pretrained("FOLDER", trust_remote_code=True)
inputs = processor(images="picture.png", text="What is this?")
ids = model.generate(**inputs, max_new_tokens=32)
print(processor.batch_decode(ids[:, inputs["input_ids"].shape[1] :])[0])
```

`cobra_kit.load("FOLDER")` opens it too.
"""


def write_huggingface(
    model: VisionLanguageModel, folder: Path, tensors: Mapping[str, Tensor] | None = None
) -> list[str]:
    """Writes a folder that `AutoModel` and `AutoProcessor` open with `trust_remote_code=True`.

    The weights come last: a folder without `model.safetensors` is not whole.

    Args:
        model: The model to export.
        folder: The folder that is written to.
        tensors: The weights, of the model's names and any shape; None: the model's own.

    Raises:
        WeightsError: The model is no longer what its recipe says.
    """
    composed_tensors(model, model.composed)  # before anything is written
    codec = model.processor.codec
    write_json(folder / "config.json", _config(model, codec))
    write_text(folder / CODE, files(__package__).joinpath(CODE).read_text(encoding="utf-8"))
    write_json(folder / "processor_config.json", {"auto_map": {"AutoProcessor": _AUTO_MAP["AutoProcessor"]}})
    write_text(folder / "README.md", _card(model))
    notes = _write_tokenizer(codec, folder)
    save_pretrained(model, recipe_of(model), folder, tensors)
    return notes


def _config(model: VisionLanguageModel, codec: TextCodec) -> dict[str, Any]:
    eos = codec.tokenizer.eos_id
    return {
        "model_type": MODEL_TYPE,
        "architectures": ["CobraKitModel"],
        "auto_map": _AUTO_MAP,
        "dtype": str(next(model.backbone.parameters()).dtype).removeprefix("torch."),
        "hidden_size": model.backbone.hidden_size,
        "vocab_size": model.backbone.vocab_size,
        "eos_token_id": eos,
        "pad_token_id": eos,
        "cobra_kit": {"version": __version__, "components": dict(model.components)},
    }


def _write_tokenizer(codec: TextCodec, folder: Path) -> list[str]:
    definition: str | None = getattr(codec.tokenizer, "definition", None)
    if definition is None:
        return ["no tokenizer.json: this backbone's tokenizer has no such form. AutoProcessor works, AutoTokenizer not"]
    from tokenizers import Tokenizer

    eos = Tokenizer.from_str(definition).id_to_token(codec.tokenizer.eos_id)
    # What a template puts before every text, such as LLaMA's <s>: a backbone that looks it up here finds it again.
    begin = getattr(codec.template, "begin_of_text", "")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": codec.max_text_tokens,
        "padding_side": "right",
        "clean_up_tokenization_spaces": False,
        "eos_token": eos,
        "pad_token": eos,
        **({"bos_token": begin, "add_bos_token": True} if begin else {}),
    }
    write_text(folder / TOKENIZER, definition)
    write_json(folder / "tokenizer_config.json", settings)
    return []


def _card(model: VisionLanguageModel) -> str:
    recipe = recipe_of(model).recipe
    parts = "\n".join(f"- {kind.replace('_', ' ')}: `{name}`" for kind, name in model.components.items())
    return _CARD.format(title=recipe.title or recipe.name, parts=parts)
