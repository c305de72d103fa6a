from __future__ import annotations

from fake_packages import site

__all__ = ["site"]
