"""The report as one HTML page that needs nothing beside itself.

render_page(view)
"""

from __future__ import annotations

from cobra_kit.report.html.page import render_page

__all__ = ["render_page"]
