"""The whole page: one file, no network, readable without its script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup

from cobra_kit.report.html import figures, learning, scores
from cobra_kit.report.html.blocks import PageSection
from cobra_kit.report.html.disagreements import disagreements
from cobra_kit.report.html.rendering import asset, render
from cobra_kit.report.html.sweep import sweep_sections
from cobra_kit.report.view import ReportView


def render_page(view: ReportView) -> str:
    """Returns the report as HTML; the same view gives the same bytes."""
    return document(view.title, _sections(view), description=view.description, missing=view.missing)


def document(title: str, sections: Sequence[PageSection], *, description: str = "", missing: Sequence[str] = ()) -> str:
    """Returns a page in the look of the report.

    Args:
        title: The heading of the page.
        sections: What it holds; those without content are left out.
        description: What stands below the heading.
        missing: What a reader must know is not there yet.
    """
    style, script = asset("page.css"), asset("page.js")
    # The digests are of the very bytes that the template puts between the tags, so these two are never edited there.
    # Nothing is fetched and nothing runs but the script of this package, whatever an answer or a name holds.
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = render(
        "page",
        title=title,
        description=description,
        missing=missing,
        sections=[section for section in sections if section.content],
        policy=policy,
        style=style,
        script=script,
    )
    return f"{page}\n"


def _sections(view: ReportView) -> list[PageSection]:
    table = view.table
    arms = list(table.arms) if table else []
    arms += [arm for arm in dict.fromkeys(run.arm for run in view.runs) if arm not in arms]
    sections = []
    if table is not None:
        sections += [
            PageSection("Results", scores.scores(table)),
            PageSection("Scores by benchmark", figures.score_plots(table)),
            PageSection("Differences", figures.difference_plots(table)),
            PageSection("How fast they learn", learning.learning(table, view.runs)),
            PageSection("What the paper found", scores.paper_table(table)),
            PageSection("Cost", scores.cost_table(table) + figures.speed_plots(table)),
        ]
    sections += sweep_sections(view.sweep) if view.sweep is not None else []
    sections += [
        PageSection("Training", figures.curve_plots(view.runs, arms)),
        PageSection("Where they disagree", disagreements(view.disagreements, view.images_missing, arms)),
        PageSection("How to run it again", render("commands", commands=view.commands)),
        PageSection("What it depends on", _provenance(view)),
    ]
    return sections


def _provenance(view: ReportView) -> Markup:
    runs = [[run.name, run.state, "-" if run.step is None else f"{run.step:,}"] for run in view.runs]
    return render("provenance", facts=view.facts, runs=runs, documents=view.documents)


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
