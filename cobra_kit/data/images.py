"""Images on their way to the model: prepared on the spot, or replaced by cached features (see `features`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from cobra_kit.data.keys import preparation_key, shape_from_json, shape_to_json
from cobra_kit.data.rejects import Rejects, check_unreadable
from cobra_kit.data.rows import DataSource, with_image_names
from cobra_kit.errors import CobraError, DamagedFile, ImageError, UnreadableFile
from cobra_kit.events import Progress, Reporter, silent
from cobra_kit.files import read_sealed_json, write_sealed_json
from cobra_kit.images import memory_as_image_error
from cobra_kit.interfaces import PreparedImage, TokenShape
from cobra_kit.model import CachedFeatures, VisionLanguageModel

_REPORT_EVERY = 64
_MOST_BYTES = 256 << 20  # of what is remembered of a million images


class Images(Protocol):
    """The readable images of a data source, as a batch takes them."""

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Returns the images that cannot be read, with reasons."""
        ...

    def shape(self, image_id: str) -> TokenShape:
        """Returns the encoder's token shape of an image; KeyError for an unreadable or unknown one."""
        ...

    def load(self, image_id: str) -> PreparedImage | CachedFeatures:
        """Returns the image, prepared or encoded."""
        ...


class NoImages:
    """The images of rows that have none."""

    unreadable: Mapping[str, str] = MappingProxyType({})

    def shape(self, image_id: str) -> TokenShape:
        """Raises KeyError: there is no image."""
        raise KeyError(image_id)

    def load(self, image_id: str) -> PreparedImage | CachedFeatures:
        """Raises KeyError: there is no image."""
        raise KeyError(image_id)


class LiveImages:
    """Images that are decoded and prepared each time, for an encoder that is trained.

    All of them are decoded once before anything is trained, so that the last one cannot stop a run hours later.

    Args:
        model: Whose encoder they are for.
        source: The data source that the images come from.
        image_ids: Names of the images, as the source has them.
        folder: Where the outcome of that first look is kept.
        report: Told about the first look.

    Raises:
        DataError: Too many images cannot be read.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        source: DataSource,
        image_ids: Sequence[str],
        folder: Path,
        report: Reporter = silent,
    ) -> None:
        self._source, self._preprocess = with_image_names(source), model.processor.preprocess
        key = preparation_key(model, source, image_ids)
        self._shapes, self._unreadable = _remembered(folder / f"pictures-{key}.json") or self._check_all(
            image_ids, folder, key, report
        )

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Returns the images that cannot be read, with reasons."""
        return self._unreadable

    def shape(self, image_id: str) -> TokenShape:
        """Returns the encoder's token shape of an image; KeyError for an unreadable or unknown one."""
        return self._shapes[image_id]

    def load(self, image_id: str) -> PreparedImage:
        """Returns the image, prepared."""
        with memory_as_image_error(image_id):
            return self._preprocess(self._source.image(image_id))

    def _check_all(
        self, image_ids: Sequence[str], folder: Path, key: str, report: Reporter
    ) -> tuple[dict[str, TokenShape], dict[str, str]]:
        rejects, unreadable_file = Rejects(len(image_ids)), folder / f"unreadable-{key}.json"
        shapes: dict[str, TokenShape] = {}
        for number, name in enumerate(image_ids, start=1):
            try:
                shapes[name] = self.load(name).shape
            except ImageError as error:
                rejects.add(name, error.message)
                check_unreadable(rejects, unreadable_file, finished=False)
            if number % _REPORT_EVERY == 0 or number == len(image_ids):
                report(Progress(task="checking pictures", done=number, total=len(image_ids), unit="pictures"))
        check_unreadable(rejects, unreadable_file, finished=True)
        rejects.announce(report, str(unreadable_file), "pictures cannot be read; rows with them are left out")
        plain = {name: shape_to_json(shape) for name, shape in shapes.items()}
        write_sealed_json(folder / f"pictures-{key}.json", {"shapes": plain, "unreadable": rejects.reasons})
        return shapes, rejects.reasons


def _remembered(file: Path) -> tuple[dict[str, TokenShape], dict[str, str]] | None:
    try:
        record = read_sealed_json(file, min(file.stat().st_size, _MOST_BYTES))
        shapes = {name: shape_from_json(plain) for name, plain in record["shapes"].items()}
        return shapes, dict(record["unreadable"])
    except (FileNotFoundError, NotADirectoryError, DamagedFile, ValueError, KeyError, TypeError, AttributeError):
        return None  # there is none, or it is damaged: the images are looked at again, and it is written anew
    except (OSError, UnreadableFile) as error:
        reason = getattr(error, "strerror", None) or str(getattr(error, "message", error))
        raise CobraError(
            f"cannot be read: {reason.removeprefix('cannot be read: ')}",
            where=str(file),
            hint="It must be a file that you may read; delete it and it is made again.",
        ) from error
