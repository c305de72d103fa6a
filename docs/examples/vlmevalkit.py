"""VLMEvalKit's `run.py` with a model of cobra-kit: `python vlmevalkit.py FOLDER [options of run.py]`.

Call it in a checkout of VLMEvalKit, where cobra-kit is installed too. FOLDER is what `cobra-kit export --format
huggingface` wrote, or a run's folder; the model is called `cobra-kit`. Untried: written from VLMEvalKit's pages.
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

import cobra_kit

MAX_NEW_TOKENS = 128


def question_of(message: list[dict[str, str]]) -> tuple[list[str], str]:
    """Returns the images of a message of VLMEvalKit and its text, with `<image>` where several images stand."""
    images = [part["value"] for part in message if part["type"] == "image"]
    if len(images) == 1:
        return images, "\n".join(part["value"] for part in message if part["type"] == "text")
    return images, "\n".join("<image>" if part["type"] == "image" else part["value"] for part in message)


def model_class() -> type[Any]:
    """Returns the class that VLMEvalKit makes the model of."""
    from vlmeval.vlm.base import BaseModel

    class CobraKit(BaseModel):  # type: ignore[misc]
        INTERLEAVE = True

        def __init__(self, folder: str) -> None:
            import torch

            self.model = cobra_kit.load(folder, device="cuda" if torch.cuda.is_available() else "cpu")

        def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str | list[str]:
            images, question = question_of(message)
            return self.model.generate(images or None, question, max_new_tokens=MAX_NEW_TOKENS)

    return CobraKit


def main(folder: str, *options: str) -> None:
    """Registers the model and hands over to `run.py`."""
    from functools import partial

    from vlmeval.config import supported_VLM

    supported_VLM["cobra-kit"] = partial(model_class(), folder)
    sys.argv = ["run.py", "--model", "cobra-kit", *options]
    runpy.run_path("run.py", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
