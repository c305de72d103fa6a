"""A lock is a file of its own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cobra_kit.errors import CobraError
from cobra_kit.locks import locked


def test_a_lock_that_leads_elsewhere_makes_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "link.lock").symlink_to("elsewhere")
    (tmp_path / "folder.lock").mkdir()
    for name in ("link.lock", "folder.lock"):
        with (
            pytest.raises(CobraError, match=f"{name}: something else stands in place of a lock file"),
            locked(tmp_path / name, lambda: None),
        ):
            pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_is_held(tmp_path: Path) -> None:
    with locked(tmp_path / "a.lock", lambda: None) as is_held:
        assert is_held
