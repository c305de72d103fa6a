"""Makes all files of a world in a folder that appears only when it is whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL

from cobra_kit.errors import CobraError, UnreadableFile
from cobra_kit.files import contents, folder_beside, put_folder, read_sealed_json, remove_leftovers, seal
from cobra_kit_scenes.digests import FILES, world_digests
from cobra_kit_scenes.drawing_pool import DrawingPool, default_workers, drawing_failed
from cobra_kit_scenes.glyphs import freetype_version
from cobra_kit_scenes.images import allocate
from cobra_kit_scenes.layout import Scene
from cobra_kit_scenes.params import SceneParams
from cobra_kit_scenes.questions import ABILITIES, HARDEST_UNASKED, LEVELS
from cobra_kit_scenes.questions.presence import popular_pairs
from cobra_kit_scenes.splits import scene_of
from cobra_kit_scenes.vocabulary import SPLITS, Split
from cobra_kit_scenes.worker import work
from cobra_kit_scenes.write import write_held_out, write_json, write_labels, write_train

GENERATOR_VERSION = 1
"""Counts up with every change that changes an image, a question or a text."""

MANIFEST = "manifest.json"

Progress = Callable[[int, int], None]
"""Called with (images drawn, images in all)."""

_POLL_EVERY = 200
_PARTIAL = "{name}.partial-{mark}"
_STALE_SECONDS = 3600.0
"""Without a write: a sure sign that whoever drew here was killed."""


def identity(params: SceneParams) -> dict[str, Any]:
    """Returns everything that decides what the files hold."""
    return {
        "generator": GENERATOR_VERSION,
        "pillow": PIL.__version__,
        "freetype": freetype_version(),
        # A choice that nobody made is left out: worlds of before it was there stay what they are.
        "params": params.model_dump(mode="json", exclude_none=True),
        **_asks_about_places(params),
    }


def _asks_about_places(params: SceneParams) -> dict[str, Any]:
    """Returns a mark of training questions about places; `max_level: 3` was allowed before there were any."""
    new = [name for name in ABILITIES if HARDEST_UNASKED[name] < LEVELS[name][-1] <= params.hardest(name)]
    return {"trained_at_places": new} if new else {}


def generate(
    params: SceneParams, folder: Path, *, progress: Progress | None = None, workers: int | None = None
) -> None:
    """Makes the world in `folder`, which must not exist yet or be empty.

    Everything is written beside it first and renamed at the end. The files do not depend on `workers`.

    Args:
        params: Seed and sizes of the world.
        folder: The folder that the world is written to.
        progress: Called after every chunk of images.
        workers: Drawing processes; 0 draws in this one. Default: one per core, none for few images.

    Raises:
        CobraError: The folder holds something, or cannot be written.
    """
    manifest = identity(params)
    if folder.exists() and (not folder.is_dir() or contents(folder)):
        raise CobraError("the folder is not empty", where=str(folder), hint="Name a new folder, or remove this one.")
    try:
        remove_leftovers(folder, _PARTIAL, unchanged_seconds=_STALE_SECONDS)
        with folder_beside(folder, _PARTIAL) as partial:
            counts = _fill(partial, params, progress, workers)
            digests = world_digests(partial)
            write_json(partial / MANIFEST, seal({**manifest, "questions": counts, FILES: digests}))
            _move(partial, folder)
    except OSError as error:
        # Somebody else may have finished the same world first; theirs is as good as ours.
        if not is_whole(folder, manifest):
            raise drawing_failed(f"{folder}: {error.strerror or error}") from error


def _move(partial: Path, folder: Path) -> None:
    """Puts a finished folder where it belongs; the manifest, which says that it is whole, comes last."""
    if folder.is_dir() and any(folder.iterdir()) and not contents(folder):
        # What a file manager left there is no reason to refuse, and a folder with anything in it is not replaced.
        for entry in sorted(partial.iterdir(), key=lambda entry: entry.name == MANIFEST):
            entry.replace(folder / entry.name)
        return
    put_folder(partial, folder)


def is_whole(folder: Path, manifest: dict[str, Any]) -> bool:
    """Says whether the folder holds the finished world with this identity."""
    try:
        written = read_sealed_json(folder / MANIFEST)
    except (OSError, UnreadableFile):
        return False
    return {key: written.get(key) for key in manifest} == manifest


def _fill(
    folder: Path, params: SceneParams, progress: Progress | None, workers: int | None
) -> dict[str, dict[str, int]]:
    sizes = {split: params.size(split) for split in SPLITS if params.size(split)}
    total, done = sum(sizes.values()), 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    for split, size in sizes.items():
        (folder / split).mkdir()
        allocate(folder / split, size)
    if workers is None:
        workers = default_workers() if total >= 4 * _POLL_EVERY else 0
    if workers == 0 or not sys.executable:
        work(folder, params.seed, {str(key): size for key, size in sizes.items()}, 0, 1, report)
        return _write_questions(folder, params, sizes, lambda: None)
    with DrawingPool(folder, {"seed": params.seed, "sizes": sizes}, workers, report) as crew:
        counts = _write_questions(folder, params, sizes, crew.poll)
        crew.finish()
    return counts


def _write_questions(
    folder: Path, params: SceneParams, sizes: dict[Split, int], poll: Callable[[], None]
) -> dict[str, dict[str, int]]:
    def scenes_of(split: Split) -> list[Scene]:
        scenes = []
        for index in range(sizes.get(split, 0)):
            scenes.append(scene_of(params.seed, split, index))
            if index % _POLL_EVERY == 0:
                poll()
        return scenes

    counts: dict[str, dict[str, int]] = {}
    train = scenes_of("train")
    for split in sizes:
        scenes = train if split == "train" else scenes_of(split)
        write_labels(folder / split, scenes)
        if split == "train":
            counts[split] = write_train(folder / split, scenes, params)
        elif split != "towers":
            counts[split] = write_held_out(folder / split, scenes, split, params, popular_pairs(train))
        poll()
    return counts
