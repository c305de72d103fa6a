"""The requests of lmms-eval as questions: images beside a text, and how the answer is to be decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image

from cobra_kit.errors import CobraError

_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Decoding:
    """The way an answer is decoded; requests that have it in common are answered together.

    Args:
        max_new_tokens: Most tokens of the answer.
        temperature: 0: the most probable token every time.
        top_p: Draw among the most probable tokens that together reach this probability.
        until: Texts before which an answer ends.
    """

    max_new_tokens: int
    temperature: float
    top_p: float
    until: tuple[str, ...]

    def cut(self, text: str) -> str:
        """Returns an answer without what follows the first of the texts that end it."""
        ends = [place for stop in self.until if stop and (place := text.find(stop)) >= 0]
        return text[: min(ends)].strip() if ends else text


def decoding_of(arguments: Mapping[str, Any], max_new_tokens: int, task: str) -> Decoding:
    """Returns how a task's `generation_kwargs` want an answer decoded.

    Args:
        arguments: The keywords of the task.
        max_new_tokens: Most tokens, where the task does not say.
        task: Name of the task, for errors.

    Raises:
        CobraError: Beams are asked for.
    """
    if (beams := arguments.get("num_beams") or 1) != 1:
        raise CobraError(
            f"the task asks for {beams} beams, and models here decode one answer",
            where=f"lmms-eval task {task}",
            hint="--gen_kwargs num_beams=1",
        )
    drawn = bool(arguments.get("do_sample", (arguments.get("temperature") or 0) > 0))
    until = arguments.get("until") or ()
    return Decoding(
        max_new_tokens=int(arguments.get("max_new_tokens") or max_new_tokens),
        temperature=float(arguments.get("temperature") or 1.0) if drawn else 0.0,
        top_p=float(arguments.get("top_p") or 1.0) if drawn else 1.0,
        until=(until,) if isinstance(until, str) else tuple(until),
    )


def images_of(visuals: Sequence[Any] | None, task: str) -> list[Image | Path]:
    """Returns the images of a document; none where it has none.

    Raises:
        CobraError: It shows something else, such as a video.
    """
    images: list[Image | Path] = []
    for visual in visuals or ():
        if isinstance(visual, Image):
            images.append(visual.convert("RGB"))
        elif isinstance(visual, str | Path) and str(visual).lower().endswith(_IMAGE_ENDINGS):
            images.append(Path(visual))
        else:
            shown = f"the file {visual}" if isinstance(visual, str | Path) else f"{type(visual).__name__}"
            raise CobraError(
                f"a document shows {shown}, and models here see images",
                where=f"lmms-eval task {task}",
                hint="Choose a task of images.",
            )
    return images
