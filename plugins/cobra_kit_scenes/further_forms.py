"""The questions of a world again, in the official forms of benchmarks that it does not ask by itself.

Beside VQAv2, POPE, VSR, TextVQA and RefCOCO, which a world is read from: GQA, VizWiz, RefCOCO+, RefCOCOg and TextVQA's
OCR tokens. They are no part of the world: it is whole without them, and its digests do not know them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cobra_kit.errors import CobraError
from cobra_kit_scenes import file_formats
from cobra_kit_scenes.dataset import SceneDataset
from cobra_kit_scenes.held_out import held_out_questions
from cobra_kit_scenes.questions.presence import popular_pairs
from cobra_kit_scenes.vocabulary import Split
from cobra_kit_scenes.write import write_json


def write_further_forms(world: SceneDataset) -> list[Path]:
    """Writes the files of every held-out split beside those that the world has; returns them.

    Raises:
        CobraError: The folder cannot be written.
    """
    held_out: list[Split] = [split for split in world.splits if split in ("val", "test")]
    written = []
    for split in held_out:
        for name, value in _forms(world, split).items():
            written.append(world.folder / split / name)
            try:
                write_json(written[-1], value)
            except OSError as error:
                raise CobraError(f"cannot be written: {error.strerror or error}", where=str(written[-1])) from error
    return written


def _forms(world: SceneDataset, split: Split) -> dict[str, Any]:
    params, scenes = world.params, world.scenes(split)
    train = world.scenes("train") if params.train else []
    # Chosen again and not read from the files: those have no kinds of questions, and the choice is the same each time.
    chosen = held_out_questions(scenes, split, params.seed, popular_pairs(train), params.held_out_levels)
    boxes, questions = chosen["refcoco"], chosen["vqav2"]
    return {
        "gqa.json": file_formats.gqa_form(questions, split),
        "vizwiz.json": file_formats.vizwiz_form(questions, split, params.seed, params.disagreement),
        "refcoco+.json": file_formats.refcoco_form(file_formats.refcoco_plus_rows(boxes), split),
        "refcocog.json": file_formats.refcoco_form(boxes, split),
        "textvqa_ocr.json": file_formats.textvqa_ocr_form(chosen["textvqa"], split, scenes),
    }
