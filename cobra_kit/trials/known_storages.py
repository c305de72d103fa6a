"""The databases this user has given for studies, on this machine: a private note in the user's own cache.

A study's folder names its database, but whoever made the folder wrote that name. It is connected to without being asked
for only where this note says the same. Passwords are not kept: a URL that had one is noted without it, and is not
enough to connect.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Final

from cobra_kit.errors import CobraError, UnreadableFile
from cobra_kit.files import parse_json, read_small
from cobra_kit.files.caches import named_cache
from cobra_kit.files.trust import distrust, make_private
from cobra_kit.locks import locked
from cobra_kit.trials.storage_url import redact_url

NOTE: Final = "storages.json"
_MOST_STUDIES = 2000
_LIMIT_BYTES = 4 << 20


def remember_storage(folder: Path, url: str) -> None:
    """Notes that the trials of a study are in a database, without its password.

    Where the note cannot be kept, nothing is said: `status` then asks for the URL.
    """
    cache, key, shown = named_cache(), _key(folder), redact_url(url)
    if cache is None or _known(cache).get(key) == shown:
        return
    with contextlib.suppress(OSError, CobraError):
        make_private(cache)
        if distrust(cache) is not None:
            return
        with locked(cache / f".{NOTE}.lock", lambda: None):
            known = {name: noted for name, noted in _known(cache).items() if name != key}
            _write(cache / NOTE, dict([*known.items(), (key, shown)][-_MOST_STUDIES:]))


def remembered_storage(folder: Path) -> str | None:
    """Returns the database that this user gave for the study in a folder, on this machine; None where none is noted."""
    cache = named_cache()
    return None if cache is None else _known(cache).get(_key(folder))


def _key(folder: Path) -> str:
    return os.path.realpath(folder)


def _known(cache: Path) -> dict[str, str]:
    """Returns the note; empty where there is none, where it is damaged, or where somebody else may have written it."""
    try:
        if distrust(cache / NOTE) is not None:
            return {}
        known = parse_json(read_small(cache / NOTE, _LIMIT_BYTES), cache / NOTE)["studies"]
        return {str(folder): str(url) for folder, url in known.items()}
    except (OSError, UnreadableFile, KeyError, TypeError, AttributeError):
        return {}


def _write(path: Path, studies: dict[str, str]) -> None:
    # Not `atomic_write`: its files are readable by whoever may read the folder.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump({"studies": studies}, file, indent=1)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
