"""The error of a storage that is away, and how a storage is named in it."""

from __future__ import annotations

import re
from typing import Final

from cobra_kit.errors import CobraError

HIDDEN: Final = "***"
"""What stands for a password."""


class StorageError(CobraError):
    """Trials can be neither read nor recorded; no trial is to blame."""


def redact_url(url: str) -> str:
    """Returns a URL without its password."""
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*@", rf"\1:{HIDDEN}@", url)
