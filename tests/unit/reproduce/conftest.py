from __future__ import annotations

from study_fixtures import cache, own_cache

__all__ = ["cache", "own_cache"]
