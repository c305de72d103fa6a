"""Public data as their makers distribute them: which files, how many, under what licence, from where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicFile:
    """A file to be fetched, or put in place by hand.

    Args:
        path: Its place below the root folder, with `/`; of an archive that is unpacked, the archive's.
        what: What it holds, in a few words.
        link: The address of the file itself; None: only a page leads to it, see `page`.
        page: The page to get it from, where no address leads to the file itself.
        unpacked: The folder below the root that a zip archive's content ends in, without the one folder around it that
            the archive may have; None: the file is used as it is.
        holds: A path below the root that is there once the archive is unpacked; None: `unpacked` itself.
        size: Its bytes, where they are known.
        sha256: Its checksum, where it is known.
        rows: How many rows or questions it holds, where that is stated.
    """

    path: str
    what: str
    link: str | None = None
    page: str | None = None
    unpacked: str | None = None
    holds: str | None = None
    size: int | None = None
    sha256: str | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSet:
    """A public data set.

    Args:
        name: The name that `data prepare` takes.
        title: What it is, in one line.
        files: The files that it consists of.
        licence: What the makers allow, and where they say so.
        facts: Where the counts, places and links stand that are given here.
        notes: What else has to be done or known, each a line.
        settings: The part of a recipe that reads it, with `{root}` for the folder; lines of YAML.
    """

    name: str
    title: str
    files: tuple[PublicFile, ...]
    licence: str
    facts: str
    notes: tuple[str, ...] = ()
    settings: str = ""
