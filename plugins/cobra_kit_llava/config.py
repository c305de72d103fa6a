"""Settings of a file of rows in LLaVA's form. No torch here."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """The places of the rows and the images; relative paths start at the working directory."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rows: Path
    """A file of rows with `id`, `image` and `conversations`: a JSON list, or JSON lines."""
    captions: Path | None = None
    """Such a file for the align stage, whose first answers are captions; null: `rows` serves that stage too."""
    images: Path
    """The folder that the rows' `image` paths start at. Paths may not lead out of it, links in it are followed."""
