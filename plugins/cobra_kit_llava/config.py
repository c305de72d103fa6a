"""Settings of the sources of rows in LLaVA's form. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    quarantine: Path | None = None
    """The list that `cobra-kit data check` wrote: its rows are left out and counted; null: none is."""


class Params(_Settings):
    """The places of the rows and the images; relative paths start at the working directory."""

    rows: Annotated[Path | tuple[Path, ...], Field(union_mode="left_to_right")]
    """A file of rows with `id`, `image` and `conversations`: a JSON list, or JSON lines; or a list of such files."""
    captions: Path | None = None
    """Such a file for the align stage, whose first answers are captions; null: `rows` serves that stage too."""
    images: Path
    """The folder that the rows' `image` paths start at. Paths may not lead out of it, links in it are followed."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Returns the files of rows."""
        return self.rows if isinstance(self.rows, tuple) else (self.rows,)


class ShardSettings(_Settings):
    """The place of WebDataset shards: tar files whose members of one key are a sample."""

    shards: Annotated[Path | tuple[Path, ...], Field(union_mode="left_to_right")]
    """A tar file, a folder with tar files, or a list of them; uncompressed, read in the order of their names."""

    @property
    def places(self) -> tuple[Path, ...]:
        """Returns the files and folders."""
        return self.shards if isinstance(self.shards, tuple) else (self.shards,)


class DatasetSettings(_Settings):
    """The place of a Hugging Face data set, and the names of its columns."""

    path: str
    """A folder that `save_to_disk` wrote or that `load_dataset` reads; else the name of a data set on the hub."""
    split: str = "train"
    """The split that is read."""
    image: str | None = "image"
    """The column of images, one or a list a row; null: the rows have none."""
    conversations: str = "conversations"
    """The column of turns, each with `from` and `value`, or with `role` and `content`."""
    id: str | None = "id"
    """The column of ids; where there is no such column, a row's number is its id."""
