"""Declares the data that come in LLaVA's form. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from cobra_kit.plugin import DataCommandSpec, DataSourceSpec, hookimpl


@hookimpl
def cobra_data_sources() -> Iterator[DataSourceSpec]:
    """Yields the sources of training rows."""
    yield DataSourceSpec(
        name="rows",
        summary="files of rows in LLaVA's form and a folder of images",
        target="cobra_kit_llava.source:Rows",
        config="cobra_kit_llava.config:Params",
        aliases=("llava",),
    )
    yield DataSourceSpec(
        name="shards",
        summary="WebDataset tar shards: samples of images with LLaVA rows or captions",
        target="cobra_kit_llava.shard_source:ShardRows",
        config="cobra_kit_llava.config:ShardSettings",
    )
    yield DataSourceSpec(
        name="dataset",
        summary="a Hugging Face data set with a column of images and one of conversations",
        target="cobra_kit_llava.dataset_source:Dataset",
        config="cobra_kit_llava.config:DatasetSettings",
        requires=("datasets>=3",),
    )


@hookimpl
def cobra_data_commands() -> Iterator[DataCommandSpec]:
    """Yields the command that converts published files to rows."""
    yield DataCommandSpec(
        name="convert",
        summary="Convert published instruction data to LLaVA's rows.",
        target="cobra_kit_llava.command:convert",
    )
