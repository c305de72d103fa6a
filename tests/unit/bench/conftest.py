"""Benches of tests measure the bandwidth over small buffers."""

from __future__ import annotations

import pytest

from cobra_kit.bench import bandwidth


@pytest.fixture(autouse=True)
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "_buffer_bytes", lambda device: 1 << 20)
