"""`cobra-kit data convert`: published instruction data to rows in LLaVA's form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cobra_kit.errors import DataError
from cobra_kit.formatting import printable

_SHOWN = 3


def convert(
    name: Annotated[str, typer.Argument(metavar="NAME", help="lvis-instruct4v or lrv-instruct.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The published files, read in this order.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The rows, as JSON lines; must not be there yet.")],
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="The folder of images; rows without theirs are left out."),
    ] = None,
) -> None:
    """Convert published instruction data to LLaVA's rows; rows that cannot be are counted, with reasons.

    Give --images for lrv-instruct: Visual Genome's images are in two folders, and the rows do not say in which.
    """
    from cobra_kit.data.json_stream import stream_rows
    from cobra_kit.files import atomic_write, expanded, json_bytes
    from cobra_kit_llava.converters import CONVERTERS, Refused, converted

    if name not in CONVERTERS:
        raise DataError(f"no converter named {name!r}", hint=f"There are {' and '.join(CONVERTERS)}.")
    if out.exists():
        raise DataError("is there already", where=str(out), hint="Name another file, or delete it first.")
    folder = expanded(images) if images is not None else None
    if folder is not None and not folder.is_dir():
        raise DataError("no such folder of images", where=str(folder), hint="--images must name it.")
    written, refused, first = 0, 0, list[str]()
    with atomic_write(expanded(out)) as temporary, open(temporary, "wb") as target:
        for place, file in enumerate(files, start=1):
            prefix = name if len(files) == 1 else f"{name}-{place}"
            for row in converted(stream_rows(expanded(file)), CONVERTERS[name], prefix, folder):
                if isinstance(row, Refused):
                    refused += 1
                    first += [f"{file} row {row.number}: {row.reason}"] if len(first) < _SHOWN else []
                else:
                    target.write(json_bytes(row) + b"\n")
                    written += 1
        if not written:
            reasons = "\n".join(first) or "The files are empty."
            raise DataError("no row could be converted", where=", ".join(map(str, files)), hint=reasons)
    typer.echo(f"{written:,} rows written to {out}; {refused:,} left out")
    for line in first:
        typer.echo(printable(f"  {line}"), err=True)
