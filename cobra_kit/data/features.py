"""The features of a frozen encoder for every image, computed once and kept as float16 on disk.

A cache is a folder `<key>/` with `features.npy` (`[tokens d]`, image after image) and `header.json`, which holds the
digests of both; the features are checked section by section when they are first read (see `sections`). It is made under
another name and renamed when whole, so a folder that bears a key's name is finished. The key is a hash of the
component, its distribution, code and config, the weights that it reads, the data and the images: arms and seeds of a
study that share an encoder share the file, and nothing stale is ever read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cobra_kit.data.compute import HEADER, VALUES, UnexpectedlyRead, compute
from cobra_kit.data.keys import feature_identity, shape_from_json, short_hash
from cobra_kit.data.rows import DataSource, with_image_names
from cobra_kit.data.sections import SectionCheck
from cobra_kit.data.weights_read import unread_weights
from cobra_kit.errors import CobraError, DamagedFile, DataError, UnreadableFile
from cobra_kit.events import Message, Reporter, silent
from cobra_kit.files import read_sealed_json, remove_leftovers
from cobra_kit.interfaces import TokenShape
from cobra_kit.locks import locked
from cobra_kit.model import CachedFeatures, VisionLanguageModel

_MOST_HEADER = 256 << 20  # of a million images
_NO_MEMORY = "not enough memory"
_DAMAGE = (
    *(FileNotFoundError, IsADirectoryError, NotADirectoryError, EOFError),
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError),
)
"""What a cache raises that is not whole; any other OSError says something about the system."""


class FeatureCache:
    """Encoder features of images, by name. See `FeatureCache.of`.

    Args:
        folder: A finished cache.
        identity: What it must be of; None: whatever it is of.

    Raises:
        DataError: The folder is damaged, or of something else.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        try:
            header = read_sealed_json(folder / HEADER, min((folder / HEADER).stat().st_size, _MOST_HEADER))
            # Looked at before it is opened: a pipe would be waited for.
            if not (folder / VALUES).is_file():
                raise ValueError(f"{VALUES} is missing or no file")
            # Read-only and so shared: the system counts none of it as memory that this process may come to use, and a
            # file larger than the memory opens, too.
            self._values = np.lib.format.open_memmap(folder / VALUES, mode="r")
            self._read(header)
        except DamagedFile as error:
            raise self._damaged(error.message) from error
        except _DAMAGE as error:
            raise self._damaged(str(error) or type(error).__name__) from error
        except (OSError, MemoryError, UnreadableFile) as error:
            message = error.message.removeprefix("cannot be read: ") if isinstance(error, UnreadableFile) else None
            raise CobraError(
                f"the feature cache cannot be opened: {message or getattr(error, 'strerror', None) or _NO_MEMORY}",
                where=str(folder),
                hint="The file itself may be well: leave it. It must be readable; its size counts as address space "
                "(ulimit -v), not as memory, and it takes one open file (ulimit -n).",
            ) from error
        if identity is not None and json.loads(json.dumps(identity)) != self.identity:
            raise self._damaged("it is of other data or another encoder than its name says")

    def _read(self, header: Mapping[str, Any]) -> None:
        shapes = [shape_from_json(plain) for plain in header["shapes"]]
        self.identity: dict[str, Any] = header["identity"]
        self._unreadable: dict[str, str] = dict(header["unreadable"])
        if any(number < 0 for number in header["shape_of"]) or any(shape.num_tokens < 0 for shape in shapes):
            raise ValueError("a number below zero")
        self._shapes: list[TokenShape] = [shapes[number] for number in header["shape_of"]]
        self._number: dict[str, int] = {name: number for number, name in enumerate(header["pictures"])}
        self._ends = [0, *accumulate(shape.num_tokens for shape in self._shapes)]
        sizes_fit = self._values.shape == (self._ends[-1], header["width"]) and self._values.dtype == np.float16
        if not sizes_fit or len(self._number) != len(self._shapes):
            raise ValueError("sizes differ")
        self._sections = SectionCheck(
            header.get("sections"),
            len(self._shapes),
            lambda start, stop: np.ascontiguousarray(self._values[self._ends[start] : self._ends[stop]]),
        )

    def _damaged(self, reason: str) -> DataError:
        return DataError(
            f"the feature cache is damaged ({reason})",
            where=str(self.folder),
            hint="Delete this folder; it is made again when the same command is given.",
        )

    @classmethod
    def of(
        cls,
        model: VisionLanguageModel,
        source: DataSource,
        image_ids: Sequence[str],
        folder: Path,
        *,
        report: Reporter = silent,
        batch_size: int = 64,
    ) -> FeatureCache:
        """Returns the features of some images, computed if they are not there yet.

        Of two processes that ask for the same features one computes them and the other waits.

        Args:
            model: Its encoder computes them, in eval mode and without gradients.
            source: Where the images come from.
            image_ids: Names of the images, as the source has them.
            folder: Where caches are kept; it is made.
            report: Told about the work.
            batch_size: Images encoded together.

        Raises:
            DataError: Too many images cannot be read, or features do not fit float16.
            CobraError: The folder cannot be written.
        """
        source = with_image_names(source)
        unread = unread_weights(model.vision_encoder, model.processor.preprocess)
        identity = feature_identity(model, source, image_ids, unread)
        whole = folder / f".{short_hash(identity)}.reads-all"
        if not whole.exists():
            try:
                return cls._of(model, source, image_ids, folder, identity, unread, report, batch_size)
            except UnexpectedlyRead:
                whole.touch()
        identity = feature_identity(model, source, image_ids)
        return cls._of(model, source, image_ids, folder, identity, frozenset(), report, batch_size)

    @classmethod
    def _of(
        cls,
        model: VisionLanguageModel,
        source: DataSource,
        image_ids: Sequence[str],
        folder: Path,
        identity: dict[str, Any],
        unread: frozenset[str],
        report: Reporter,
        batch_size: int,
    ) -> FeatureCache:
        name = identity["component"]
        key = short_hash(identity)
        place = folder / key

        def waiting() -> None:
            report(Message(text=f"features of {name}: another process is computing them; waiting"))

        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not place.is_dir():
                with locked(folder / f".{key}.lock", waiting) as alone:
                    if alone:  # nobody else works on this key while the lock is held
                        remove_leftovers(place)
                    if not place.is_dir():
                        compute(model, source, image_ids, place, identity, report, batch_size, unread)
        except OSError as error:
            raise CobraError(
                f"the features cannot be written: {error}", where=str(place), hint="Is the disk full?"
            ) from error
        return cls(place, identity)

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Returns the images that cannot be read, with reasons."""
        return self._unreadable

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._number

    def __len__(self) -> int:
        return len(self._number)

    def shape(self, image_id: str) -> TokenShape:
        """Returns the encoder's token shape of an image; KeyError for an unreadable or unknown one."""
        return self._shapes[self._number[image_id]]

    def features(self, image_id: str) -> CachedFeatures:
        """Returns the features of an image, `[n d]` float16; KeyError for an unreadable or unknown one.

        Raises:
            DataError: They are not what was computed.
        """
        number = self._number[image_id]
        if not self._sections.check(number):
            raise self._damaged(f"{VALUES} is not what was written: the digest around {image_id} differs")
        # Copied: torch has no read-only tensors, and one that wrote into a read-only mapping would end the process.
        values = torch.from_numpy(np.array(self._values[self._ends[number] : self._ends[number + 1]]))
        return CachedFeatures(values, self._shapes[number])

    load = features
