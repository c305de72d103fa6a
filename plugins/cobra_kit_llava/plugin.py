"""Declares the data that come in LLaVA's form. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from cobra_kit.plugin import DataSourceSpec, hookimpl


@hookimpl
def cobra_data_sources() -> Iterator[DataSourceSpec]:
    """Yields the sources of training rows."""
    yield DataSourceSpec(
        name="rows",
        summary="a file of rows in LLaVA's form and a folder of images",
        target="cobra_kit_llava.source:Rows",
        config="cobra_kit_llava.config:Params",
        aliases=("llava",),
    )
