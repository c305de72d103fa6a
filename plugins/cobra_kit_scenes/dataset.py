"""Reads a generated world."""

from __future__ import annotations

import json
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cobra_kit.data.sections import SectionCheck
from cobra_kit.errors import CobraError, ImageError, UnreadableFile
from cobra_kit.files import read_sealed_json, user_cache, without_seal
from cobra_kit_scenes.benchmark_prompts import Benchmark
from cobra_kit_scenes.cache import cache_key
from cobra_kit_scenes.damage import as_slices, damage_named
from cobra_kit_scenes.digests import WorldFiles
from cobra_kit_scenes.generation import MANIFEST, Progress, generate, identity, is_whole
from cobra_kit_scenes.held_out import BENCHMARKS
from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.names import image_name, parse_name
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.vocabulary import Split
from cobra_kit_scenes.write import ROWS_FILE, SCENES_FILE, SLICES_FILE


def scenes_dataset(
    params: SceneParams,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    *,
    workers: int | None = None,
) -> SceneDataset:
    """Returns the world with these parameters; makes it on first use.

    Args:
        params: Seed and sizes of the world.
        cache_dir: The cache; default `user_cache()`. The world stands in `scenes/<key>` below it.
        progress: Called with (images drawn, images in all) while the world is made, never otherwise.
        workers: Drawing processes, see `generate`.

    Raises:
        CobraError: The cache cannot be written.
    """
    folder = (cache_dir or user_cache()) / "scenes" / cache_key(params)
    if not is_whole(folder, identity(params)):
        if folder.exists():  # the key is right and the manifest is not: somebody has been at it
            shutil.rmtree(folder)
        generate(params, folder, progress=progress, workers=workers)
    return SceneDataset(folder)


class SceneDataset:
    """A world on disk: images by name, training rows, benchmark files, labels.

    Args:
        folder: What `generate` or `cobra-kit data scenes` made.

    Raises:
        CobraError: The folder holds no finished world.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.manifest = without_seal(read_sealed_json(folder / MANIFEST))
            self.params = SceneParams.checked(**self.manifest["params"])
            self._files = WorldFiles(folder, self.manifest)
        except (OSError, UnreadableFile, ValueError, KeyError, TypeError) as error:
            reason = error.message if isinstance(error, UnreadableFile) else str(error)
            raise CobraError(
                f"no finished scenes here ({reason})",
                where=str(folder),
                hint="Make them: cobra-kit data scenes --out FOLDER",
            ) from error
        self._pixels: dict[Split, tuple[NDArray[np.uint8], SectionCheck]] = {}

    def pixels(self, split: Split) -> NDArray[np.uint8]:
        """Returns `[n 64 64 3]` uint8, a read-only memory map.

        Raises:
            CobraError: The split is empty.
            DataError: The images are not what was drawn.
        """
        pixels, sections = self._opened(split)
        if not sections.check_all():
            raise self._files.damaged_images(self._split(split))
        return pixels

    def array(self, name: str) -> NDArray[np.uint8]:
        """Returns the image with this name, `[64 64 3]` uint8, a view of the memory map.

        Raises:
            ImageError: There is no such image.
            DataError: The images around it are not what was drawn.
        """
        split, index = parse_name(name)
        if index >= self.params.size(split):
            raise ImageError(f"{name}: the split has {self.params.size(split)} pictures", where=str(self.folder))
        pixels, sections = self._opened(split)
        if not sections.check(index):
            raise self._files.damaged_images(self._split(split))
        image: NDArray[np.uint8] = pixels[index]
        return image

    def image(self, name: str) -> Image.Image:
        """Returns the image with this name as a Pillow RGB image.

        Raises:
            ImageError: There is no such image.
        """
        return Image.fromarray(np.array(self.array(name)))

    def scenes(self, split: Split) -> list[Scene]:
        """Returns what is in every image of the split, in order.

        Raises:
            CobraError: The split is empty.
        """
        path = self._split(split) / SCENES_FILE
        lines = self._files.text(path).splitlines()
        with damage_named(path, self.folder):
            scenes = [Scene.from_json(json.loads(line)) for line in lines]
            if len(scenes) != self.params.size(split):
                raise ValueError(f"it holds {len(scenes)} scenes of {self.params.size(split)} images")
            return scenes

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The training rows, LLaVA's form.

        Raises:
            CobraError: The train split is empty.
        """
        rows: list[dict[str, Any]] = self._files.json(self._split("train") / ROWS_FILE)
        return rows

    @cached_property
    def turn_slices(self) -> dict[str, list[str]]:
        """Per row id the slice ("color/1") of each of its question turns."""
        return self._slices("train")

    def benchmark(self, split: Split, name: Benchmark) -> dict[str, Path]:
        """Returns the official files of a benchmark: {"questions": path}, for vqav2 also "annotations".

        Raises:
            CobraError: The split is empty or has no benchmarks, or the benchmark is unknown.
        """
        if split not in ("val", "test"):
            raise CobraError(f"split {split!r} of scenes has no benchmarks", hint="Those with: val, test")
        folder = self._split(split)
        if name not in BENCHMARKS:
            raise CobraError(f"scenes has no benchmark {name!r}", hint=f"It has: {', '.join(BENCHMARKS)}")
        if name == "vqav2":
            return {
                "questions": folder / "vqav2_questions.json",
                "annotations": folder / "vqav2_annotations.json",
            }
        return {"questions": folder / (f"{name}.jsonl" if name == "vsr" else f"{name}.json")}

    def benchmark_texts(self, split: Split, name: Benchmark) -> dict[str, str]:
        """Returns what the files of `benchmark` hold.

        Raises:
            CobraError: As `benchmark` does.
            DataError: A file is not what was written.
        """
        return {key: self._files.text(path) for key, path in self.benchmark(split, name).items()}

    def question_slices(self, split: Split) -> dict[Benchmark, list[str]]:
        """Returns per benchmark the slice ("color/1") of each question, in file order.

        Raises:
            CobraError: The split is empty.
        """
        return self._slices(split)

    def export_png(self, folder: Path) -> int:
        """Writes every image as a PNG file under its name; returns how many.

        Raises:
            CobraError: The folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            names = [image_name(split, i) for split in self.splits for i in range(self.params.size(split))]
            for name in names:
                self.image(name).save(folder / name, compress_level=1)
        except OSError as error:
            raise CobraError(f"cannot write pictures: {error.strerror or error}", where=str(folder)) from error
        return len(names)

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that have images."""
        return tuple(split for split in ("train", "val", "test", "towers") if self.params.size(split))

    def _slices(self, split: Split) -> dict[Any, list[str]]:
        path = self._split(split) / SLICES_FILE
        with damage_named(path, self.folder):
            return as_slices(self._files.json(path))

    def _opened(self, split: Split) -> tuple[NDArray[np.uint8], SectionCheck]:
        if split not in self._pixels:
            self._pixels[split] = self._files.images(self._split(split), self.params.size(split))
        return self._pixels[split]

    def _split(self, split: Split) -> Path:
        if split not in self.splits:
            raise CobraError(
                f"split {split!r} of scenes is empty",
                where=str(self.folder),
                hint=f"Ask for pictures: {split}: 1000. Splits with pictures: {', '.join(self.splits)}",
            )
        return self.folder / split
