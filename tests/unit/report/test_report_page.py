"""The page: self-contained, the same each time, and nothing that a name or an answer holds can break out of it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from fake_study import HOSTILE
from markupsafe import Markup
from synthetic_report import sweep, table, view

from cobra_kit.report.html import render_page
from cobra_kit.report.html.rendering import asset
from cobra_kit.report.svg import element, escape
from cobra_kit.report.view import ReportView

VOID = {"meta", "img", "input"}


class Outline(HTMLParser):
    """Elements and attributes of a page; fails where an element is closed that is not open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_has_all_sections_and_needs_nothing_beside_itself() -> None:
    page = render_page(view(sweep=sweep()))
    outline = Outline(page)
    for heading in (
        *("Results", "Scores by benchmark", "Differences", "What the paper found", "Cost", "Training"),
        *("Sweep", "Search history", "What matters", "Pruned and failed trials", "All trials"),
        *("Where they disagree", "How to run it again", "What it depends on"),
    ):
        assert f"<h2>{heading}</h2>" in page
        assert f'<a href="#{heading.lower().replace(" ", "-")}">' in page
    addresses = [
        value for _, attributes in outline.elements for name, value in attributes.items() if name in {"src", "href"}
    ]
    assert addresses
    assert all(address.startswith(("#", "data:image/")) for address in addresses if address)
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert "@import" not in page
    assert "url(" not in page


def test_the_same_view_gives_the_same_bytes() -> None:
    assert render_page(view(sweep=sweep())) == render_page(view(sweep=sweep()))


def test_two_hundred_trials_weigh_far_less_than_five_megabytes() -> None:
    assert len(render_page(view(sweep=sweep(200))).encode()) < 1_000_000
    assert len(render_page(view(sweep=sweep(2000))).encode()) < 5_000_000


@pytest.mark.parametrize("trials", [0, 1])
def test_a_sweep_that_has_just_begun(trials: int) -> None:
    page = render_page(ReportView(title="sweep", sweep=sweep(trials)))
    assert "<h2>Sweep</h2>" in page
    assert "<h2>Results</h2>" not in page


def test_hostile_words_are_shown_and_do_nothing() -> None:
    arms = (HOSTILE, HOSTILE + "2")
    page = render_page(view(arms, word=HOSTILE, sweep=sweep(40, word=HOSTILE)))
    outline = Outline(page)
    assert len(outline.all("script")) == 1
    assert {attributes["src"][:16] for attributes in outline.all("img") if attributes["src"]} == {"data:image/png;b"}
    assert not [name for _, attributes in outline.elements for name in attributes if name.startswith("on")]
    assert not [name for _, attributes in outline.elements for name in attributes if name == "style"]
    shown = re.sub("[\x00\ud800\u202e]", "\ufffd", HOSTILE)
    assert any(shown in text for text in outline.text)
    page.encode("utf-8")


def test_every_column_and_row_of_a_table_has_a_heading() -> None:
    page = render_page(view(sweep=sweep()))
    for markup in re.findall(r"<table.*?</table>", page, re.DOTALL):
        assert "<caption>" in markup
        head, _, body = markup.partition("<tbody>")
        assert head.count('scope="col"') == head.count("<th ")
        assert body.count("<tr>") == body.count('<th scope="row">')


def test_plots_say_in_words_what_they_show() -> None:
    page = render_page(view(sweep=sweep()))
    plots = [plot for plot in Outline(page).all("svg") if plot.get("role") == "img"]
    assert len(plots) > 10
    assert all(plot.get("aria-label") for plot in plots)
    assert "presence: mlp 80.0; ldpv2 79.0" in page


def test_colours_contrast_with_what_is_behind_them() -> None:
    """WCAG 2.2: 4.5 for text (1.4.3), 3 for marks (1.4.11), in both schemes."""
    light, dark = re.findall(r":root \{(.*?)\}", asset("page.css"), re.DOTALL)
    for scheme in (light, dark):
        colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", scheme))
        for back in ("page", "panel"):
            for name in ("text", "faint", "link"):
                assert contrast(colours[name], colours[back]) >= 4.5, (name, back)
            for number in range(1, 9):
                assert contrast(colours[f"arm{number}"], colours[back]) >= 4.0, (number, back)
        assert contrast(colours["good"], colours["good-back"]) >= 4.5
        assert contrast(colours["bad"], colours["bad-back"]) >= 4.5


def contrast(colour: str, other: str) -> float:
    high, low = sorted((luminance(colour), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2's definition."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_boxes_are_drawn_over_the_image_only_where_the_truth_is_one() -> None:
    page = render_page(view())
    assert page.count('<svg viewBox="0 0 128 128" class="boxes"') == 2
    assert '<rect x="12.8" y="25.6" width="51.2" height="51.2" class="truth">' in page
    assert page.count('class="truth">') == 4  # two boxes, two words


def test_a_study_without_a_table_still_has_its_curves() -> None:
    whole = view()
    page = render_page(ReportView(title="begun", runs=whole.runs, missing=("mlp-s7: in training, step 5",)))
    assert "<h2>Training</h2>" in page
    assert "mlp-s7: in training, step 5" in page
    assert "<h2>Results</h2>" not in page


def test_other_scales_are_said_to_be_so() -> None:
    assert table().profile == "laptop"
    assert "Another scale: compare directions, not numbers." in render_page(view())


def test_no_template_takes_text_of_a_study_for_markup() -> None:
    templates = list((resources.files("cobra_kit.report.html") / "templates").iterdir())
    assert len(templates) > 5
    for template in templates:
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text(encoding="utf-8")), template.name


@pytest.mark.parametrize("name", ["a b", "1a", "", "on<", 'x"'])
def test_no_name_of_an_element_or_attribute_is_taken_from_data(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        element(name)
    with pytest.raises(ValueError, match="not a name"):
        element("p", **{name: "x"})


def test_markup_is_not_escaped_twice() -> None:
    assert (
        element("p", "a < b", Markup("<br>"), class_="x", hidden=True, title=None)
        == '<p class="x" hidden>a &lt; b<br></p>'
    )
    assert escape('"') == "&#34;"
