"""Fills in the templates: whatever a study holds is escaped, and a name that a template lacks is an error."""

from __future__ import annotations

import functools
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cobra_kit.report import grid
from cobra_kit.report.plots import swatch
from cobra_kit.report.svg import writable


def render(template: str, **values: object) -> Markup:
    """Returns a template of this package with these values, as markup without blanks around it."""
    return Markup(_environment().get_template(f"{template}.html.j2").render(values).strip())


@functools.cache
def asset(name: str) -> Markup:
    """Returns a file of this package that goes into the page as it is."""
    return Markup(resources.files("cobra_kit.report.html").joinpath(name).read_text(encoding="utf-8"))


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cobra_kit.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
        auto_reload=False,  # an installed package does not change under a running process
    )
    environment.globals.update(grid=grid, swatch=swatch)
    return environment


def _finalize(value: object) -> object:
    """Returns a value without the characters that HTML cannot hold: autoescape knows nothing of them."""
    return writable(value) if isinstance(value, str) else value
