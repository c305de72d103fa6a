"""Hashes of what is in files: of many files at once, remembered between runs, and of the sources of code.

states = file_states(folder, names, remembered=HashCache.of(folder), report=report)
fingerprint = source_fingerprint(module_sources("my_package.my_module"))
"""

from __future__ import annotations

from cobra_kit.hashing.contents import MOST_BYTES, content_state, file_states, is_content
from cobra_kit.hashing.environment import environment_fingerprint
from cobra_kit.hashing.remembered import HashCache
from cobra_kit.hashing.sources import module_sources, source_fingerprint

__all__ = [
    "MOST_BYTES",
    "HashCache",
    "content_state",
    "environment_fingerprint",
    "file_states",
    "is_content",
    "module_sources",
    "source_fingerprint",
]
