"""Sections of a large file are checked when they are first read, each once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.data import sections
from cobra_kit.data.sections import SectionCheck, SectionWriter


def written(items: list[bytes]) -> list[tuple[int, str]]:
    writer = SectionWriter()
    for item in items:
        writer.add(item)
    return writer.finish()


@given(items=st.lists(st.binary(max_size=9), max_size=30), data=st.data())
def test_a_changed_item_is_noticed_where_it_is_and_nowhere_else(items: list[bytes], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "SECTION_BYTES", 20)
        kept = written(items)
    now = list(items)
    check = SectionCheck(kept, len(items), lambda start, stop: b"".join(now[start:stop]))
    assert all(check.check(i) for i in range(len(items)))
    filled = [i for i, item in enumerate(items) if item]
    if not filled:
        return
    changed = data.draw(st.sampled_from(filled))
    now[changed] = bytes([now[changed][0] ^ 1]) + now[changed][1:]
    assert check.check(changed), "what was checked once is not read again"
    fresh = SectionCheck(kept, len(items), lambda start, stop: b"".join(now[start:stop]))
    own = max(first for first, _ in kept if first <= changed)
    last = min([first for first, _ in kept if first > changed], default=len(items))
    for item in range(len(items)):
        assert fresh.check(item) == (not own <= item < last)
    assert not fresh.check_all()


def test_without_digests_nothing_is_checked() -> None:
    assert SectionCheck(None, 5, lambda *_: pytest.fail("read")).check(3)


@pytest.mark.parametrize(
    "wrong", [[], [[1, "a"]], [[0, "a"], [0, "b"]], [[0, "a"], [9, "b"]], [[0, 5]], [["0", "a"]], [0], 7, [[0, "a", 1]]]
)
def test_sections_that_are_none(wrong: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        SectionCheck(wrong, 5, lambda *_: b"")
