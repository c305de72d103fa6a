"""The command line. One file per group of commands; importing any of them imports no torch."""

from __future__ import annotations

from cobra_kit.cli.entry import main

__all__ = ["main"]
