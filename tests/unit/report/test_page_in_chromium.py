"""The page in a real browser: no script error, nothing fetched, nothing wider than the window, open in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import chromium
import pytest
from fake_study import HOSTILE
from synthetic_report import sweep, view

from cobra_kit.report.html import render_page

pytestmark = pytest.mark.skipif(bool(chromium.why_missing()), reason=chromium.why_missing() or "there is one")

OPEN_SECONDS = 2.0


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    with chromium.browser(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_page(view(sweep=sweep(200))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    long = "w" * 300
    arms = (HOSTILE, long, *(f"{HOSTILE}{index}" for index in range(4)))
    whole = view(arms, word=HOSTILE, sweep=sweep(60, word=long))
    path.write_text(render_page(replace(whole, missing=(long, HOSTILE))), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("which", ["page", "hostile_page"])
def test_the_page_is_quiet_alone_and_no_wider_than_the_window(
    window: chromium.Browser, request: pytest.FixtureRequest, which: str, width: int, dark: bool
) -> None:
    file: Path = request.getfixturevalue(which)
    window.requests()
    window.log("browser")
    window.open(file, width, dark=dark)
    window.run("for (const details of document.querySelectorAll('details')) details.open = true;")
    assert window.log("browser") == []
    assert [url for url in window.requests() if not url.startswith("data:")] == [file.resolve().as_uri()]
    assert window.run("return document.documentElement.scrollWidth") <= width
    assert window.run("return window.innerWidth") == width
    background = window.run("return getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 23, 28)" if dark else "rgb(255, 255, 255)")


def test_two_hundred_trials_open_in_time(window: chromium.Browser, page: Path) -> None:
    window.open(page, 1400)
    times = window.run("const t = performance.getEntriesByType('navigation')[0]; return [t.startTime, t.loadEventEnd]")
    assert times[1] - times[0] < OPEN_SECONDS * 1000


def test_the_filters_filter(window: chromium.Browser, page: Path) -> None:
    window.open(page, 1400)
    shown = "return [...document.querySelectorAll('#trials tbody tr')].filter((row) => !row.hidden).length"
    assert window.run("return [...document.querySelectorAll('.filter')].every((filter) => !filter.hidden)")
    assert window.run(shown) == 200
    window.run(
        "const box = document.querySelector('[data-filters=trials]'); box.value = 'INFEASIBLE';"
        "box.dispatchEvent(new Event('input'))"
    )
    assert window.run(shown) == 10


def test_this_browser_would_tell(window: chromium.Browser, tmp_path: Path) -> None:
    """The checks above are no use if a page that does all of it passes."""
    bad = tmp_path / "bad.html"
    bad.write_text("<p style='width: 2000px'>x</p><img src='http://127.0.0.1:9/x.png'><script>nowhere()</script>")
    window.log("browser")
    window.requests()
    window.open(bad, 390)
    assert "nowhere is not defined" in str(window.log("browser"))
    assert "http://127.0.0.1:9/x.png" in window.requests()
    assert window.run("return document.documentElement.scrollWidth") > 390
