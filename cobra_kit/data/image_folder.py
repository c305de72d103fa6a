"""A user's folder of images: named by rows, hashed for a fingerprint, and held to it when they are opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from PIL.Image import Image

from cobra_kit.errors import DataError, ImageError
from cobra_kit.events import Reporter, silent
from cobra_kit.hashing import HashCache, content_state, file_states, is_content
from cobra_kit.images import open_image, read_image_file


class ImageFolder:
    """The images of a folder, by the paths that rows name.

    A name may lead nowhere but into the folder: no absolute path and no `..`. Symbolic links in it are followed
    wherever they lead, since whoever laid out the folder laid them: data sets are often joined from several disks.

    Args:
        root: The folder that names start from.
        report: Told about the progress of hashing.

    Raises:
        DataError: There is no such folder.
    """

    def __init__(self, root: Path, report: Reporter = silent) -> None:
        if not root.is_dir():
            raise DataError("no such picture folder", where=str(root), hint="data.images must name it.")
        self._root, self._report = root, report
        self._states: Mapping[str, str] = {}

    def fingerprint(self, names: Iterable[str]) -> str:
        """Returns a hash of the names and contents of some images; it changes whenever one of them does.

        An image that is missing or cannot be read counts as such, so that one that appears changes the hash, too. From
        then on `image` holds every image to the content that was hashed.
        """
        names = tuple(names)
        inside = tuple(name for name in names if not leads_out(name))
        self._states = file_states(self._root, inside, remembered=HashCache.of(self._root), report=self._report)
        digest = hashlib.sha256()
        for name in names:
            digest.update(f"\0{name}\0{self._states.get(name, 'outside')}".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def image(self, name: str) -> Image:
        """Returns an image as RGB.

        Raises:
            ImageError: The name leads out of the folder, or the image is missing or cannot be decoded.
            DataError: The image is no longer what the fingerprint was made of.
        """
        if leads_out(name):
            raise ImageError("the path leads out of the picture folder", where=name, hint="It starts at data.images.")
        path = self._root / name
        expected = self._states.get(name)
        if expected is None:
            return open_image(path)
        try:
            content = read_image_file(path)
        except ImageError as error:
            if is_content(expected) and not isinstance(error.__cause__, MemoryError):
                raise self._changed(name) from error
            raise
        if content_state(content) != expected:
            raise self._changed(name)
        return open_image(content, name=str(path))

    def _changed(self, name: str) -> DataError:
        # Some file systems of networks keep no ctime: without this, the next run would trust the same hash again.
        HashCache.of(self._root).forget(name)
        return DataError(
            "the image was changed or removed while it was in use: it is not what the data's fingerprint was made of",
            where=str(self._root / name),
            hint="Results would mix the old and the new. Leave the images alone during a run, and run again.",
        )


def leads_out(name: str) -> bool:
    """Returns whether a row's image path would leave the folder by its letters: absolute, or with `..` in it."""
    path = PurePath(name)
    return bool(path.drive or path.root) or ".." in path.parts
