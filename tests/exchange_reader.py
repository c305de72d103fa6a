"""Opens exported folders with transformers alone, as somebody does who got them from the hub.

`python exchange_reader.py PICTURE FOLDER...` prints JSON: what is said without cobra-kit, and the answers.
"""

from __future__ import annotations

import json
import sys

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

QUESTIONS = ["What is this?", "How many red squares are there, and where?"]


def without_cobra_kit(folder: str) -> str:
    sys.modules["cobra_kit"] = None  # type: ignore[assignment]  # so that importing it fails
    try:
        AutoConfig.from_pretrained(folder, trust_remote_code=True)
    except ImportError as error:
        return str(error)
    finally:
        del sys.modules["cobra_kit"]
    return "it opened"


def answers(folder: str, image: str) -> dict[str, object]:
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    model = AutoModel.from_pretrained(folder, trust_remote_code=True)
    inputs = processor(images=[image, None], text=QUESTIONS).to("cpu")
    ids = model.generate(**inputs, max_new_tokens=10, do_sample=False)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    again = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True, dtype="bfloat16")
    start = inputs["input_ids"].shape[1]
    return {
        "answers": processor.batch_decode(ids[:, start:]),
        "tokens": ids[:, start:].tolist(),
        "question": tokenizer(QUESTIONS[0]).input_ids,
        "pad": tokenizer.pad_token_id,
        "training": model.training,
        "dtypes": [str(model.dtype), str(again.dtype)],
        "logits": list(model(**inputs).logits.shape),
    }


if __name__ == "__main__":
    image, *folders = sys.argv[1:]
    said = without_cobra_kit(folders[0])
    print(json.dumps({"without": said, **{folder: answers(folder, image) for folder in folders}}))
