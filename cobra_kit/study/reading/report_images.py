"""The images and prompts of a study's questions, as a page can hold them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import cached_property

from PIL import Image

from cobra_kit.data.rows import DataSource, Question
from cobra_kit.data.sources import known_fingerprint, open_source
from cobra_kit.errors import CobraError, DataError, ImageError, first_line
from cobra_kit.events import Reporter
from cobra_kit.recipe import load_recipe
from cobra_kit.report.view import ReportImage
from cobra_kit.study.folder import RECIPE
from cobra_kit.study.reading.stored_files import SPLIT, read_run_manifest
from cobra_kit.study.reading.stored_study import StoredRun, StoredStudy

_SHOWN = 136
"""Pixels of the longer side on the page; twice as many are kept, for fine screens."""


class ReportImages:
    """Opens a study's data when an image is first asked for.

    Args:
        study: The study that is reported on.
        run: A run whose data the images must be.
        report: Told about long work.
    """

    def __init__(self, study: StoredStudy, run: StoredRun, report: Reporter) -> None:
        self._study, self._run, self._report = study, run, report
        self.missing = ""
        self._source = self._opened()

    def image(self, name: str) -> ReportImage | None:
        """Returns an image; None where the data cannot be opened or the image cannot be read."""
        if self._source is None:
            return None
        if name not in self._asked_about:  # a name out of a file, with which a source may do as it likes
            self.missing = "the scores name a picture that the data do not ask about"
            return None
        try:
            return embedded(self._source.image(name))
        except (ImageError, DataError) as error:  # unreadable, or no longer what was trained on
            self.missing = first_line(error)
            return None

    def prompt(self, benchmark: str, question_id: str) -> str:
        """Returns what was asked; empty where the data cannot be opened."""
        question = self._questions.get(benchmark, {}).get(question_id)
        return question.prompt if question else ""

    @cached_property
    def _asked_about(self) -> frozenset[str]:
        questions = self._questions.values()
        return frozenset(question.image for listed in questions for question in listed.values())

    @cached_property
    def _questions(self) -> Mapping[str, Mapping[str, Question]]:
        if self._source is None:
            return {}
        listed = self._source.benchmarks(SPLIT)
        return {
            name: {question.question_id: question for question in benchmark.questions}
            for name, benchmark in listed.items()
        }

    def _opened(self) -> DataSource | None:
        try:
            recipe = load_recipe(self._study.path / RECIPE)
            manifest = read_run_manifest(self._study.folder.run(self._run))
            if manifest is None:
                self.missing = "the run's manifest cannot be read"
                return None
            then = manifest["data"]
            now = known_fingerprint(recipe)  # before minutes of drawing what is not wanted
            if now in (None, then):
                source = open_source(recipe, self._report)
                now = source.fingerprint
                if now == then:
                    return source
            self.missing = f"the data are not those of this study ({then} then, {now} now)"
        except CobraError as error:
            self.missing = str(error).splitlines()[0]
        return None


def embedded(image: Image.Image) -> ReportImage:
    """Returns an image as part of a page: a small one magnified with its pixels, a large one made smaller."""
    width, height = image.size
    longest = max(width, height)
    kept = image.convert("RGB")
    file = io.BytesIO()
    if small := longest <= _SHOWN:
        scale = float(max(_SHOWN // longest, 1))
        kept.save(file, "PNG", optimize=True)
    else:
        scale = _SHOWN / longest
        kept.thumbnail((2 * _SHOWN, 2 * _SHOWN), Image.Resampling.LANCZOS)
        kept.save(file, "JPEG", quality=82)
    kind = "png" if small else "jpeg"
    return ReportImage(
        data=f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}",
        width=max(round(width * scale), 1),
        height=max(round(height * scale), 1),
        pixelated=small and scale > 1,
    )
