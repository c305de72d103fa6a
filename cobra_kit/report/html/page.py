"""The whole page: one file, no network, readable without its script."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from importlib import resources

from cobra_kit.report.html import figures, scores
from cobra_kit.report.html.blocks import anchor, folded, section, table
from cobra_kit.report.html.disputes import disputes
from cobra_kit.report.html.sweep import sweep_sections
from cobra_kit.report.markup import Child, Markup, element, join
from cobra_kit.report.view import Command, ReportView, RunView

_DOCTYPE = Markup("<!doctype html>\n")


def render_page(view: ReportView) -> str:
    """Returns the report as HTML; the same view gives the same bytes."""
    missing = element("ul", [element("li", line) for line in view.missing], class_="missing") if view.missing else None
    return document(
        view.title, [element("p", view.description) if view.description else None, missing], _sections(view)
    )


def document(title: str, head: Sequence[Child], sections: Sequence[Markup]) -> str:
    """Returns a page in the look of the report.

    Args:
        title: Its heading.
        head: What stands below it.
        sections: From `blocks.section`; empty ones are left out.
    """
    sections = [one for one in sections if one]
    header = element("header", element("h1", title), head)
    titles = [one.partition("<h2>")[2].partition("</h2>")[0] for one in sections]
    links = [element("a", Markup(title), href=f"#{anchor(title)}") for title in titles]
    body = element("body", header, element("nav", links, aria_label="Sections"), element("main", sections), _script())
    return _DOCTYPE + element("html", _head(title), body, lang="en") + "\n"


def _sections(view: ReportView) -> list[Markup]:
    found = view.table
    arms = list(found.arms) if found else []
    arms += [arm for arm in dict.fromkeys(run.arm for run in view.runs) if arm not in arms]
    sections = []
    if found is not None:
        paper = scores.paper_table(found.paper, found.profile) if found.paper else None
        sections += [
            section("Results", scores.scores(found)),
            section("Scores by benchmark", figures.score_plots(found) if found.rows else None),
            section("Differences", figures.difference_plots(found)),
            section("What the paper found", paper),
            section("Cost", scores.cost_table(found), figures.speed_plots(found)),
        ]
    sections += sweep_sections(view.sweep) if view.sweep is not None else []
    sections += [
        section("Training", figures.curve_plots(view.runs, arms)),
        section("Where they disagree", disputes(view.disagreements, view.pictures_missing, arms)),
        section("How to run it again", _commands(view.commands)),
        section("What it depends on", _facts(view), _runs(view.runs), _documents(view)),
    ]
    return sections


def _commands(commands: tuple[Command, ...]) -> Markup:
    lines = [
        (element("p", one.purpose), element("pre", element("code", one.line), class_="command")) for one in commands
    ]
    return join(lines)


def _facts(view: ReportView) -> Markup:
    rows = [[name, value] for name, value in view.facts]
    return table("Versions, machine and data", ["what", "value"], rows, words=2, class_="facts") if rows else Markup()


def _runs(runs: tuple[RunView, ...]) -> Markup:
    rows = [[run.name, run.state, "-" if run.step is None else f"{run.step:,}"] for run in runs]
    return table("Runs", ["run", "state", "last logged step"], rows, words=2) if rows else Markup()


def _documents(view: ReportView) -> Markup:
    return join(folded(one.name, element("pre", element("code", one.text), tabindex=0)) for one in view.documents)


def _head(title: str) -> Markup:
    style, script = _file("page.css"), _file("page.js")
    # Nothing is fetched and nothing runs but the script below, whatever an answer or a name holds.
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", style),
    )


def _script() -> Markup:
    return element("script", _file("page.js"))


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@functools.cache
def _file(name: str) -> Markup:
    return Markup(resources.files("cobra_kit.report.html").joinpath(name).read_text(encoding="utf-8"))
