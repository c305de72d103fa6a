"""The rows and images that were left out, counted and with reasons: bad rows, unreadable images."""

from __future__ import annotations

from pathlib import Path

from cobra_kit.errors import DataError
from cobra_kit.events import Message, Reporter
from cobra_kit.files import write_json

SHOWN = 3
MOST_UNREADABLE = 0.01
"""Share of images above which a run stops: more than that is a wrong folder or a broken download, not bad luck."""


class Rejects:
    """Names and reasons of what was left out.

    Args:
        out_of: How many there are in all, good ones included.

    Attributes:
        reasons: Per name why, in the order found.
    """

    def __init__(self, out_of: int) -> None:
        self.out_of = out_of
        self.reasons: dict[str, str] = {}

    @property
    def total(self) -> int:
        """Returns how many were left out."""
        return len(self.reasons)

    def add(self, name: str, reason: str) -> None:
        """Leaves one out; of two with one name, both count."""
        number = 2
        unique = name
        while unique in self.reasons:
            unique, number = f"{name} ({number})", number + 1
        self.reasons[unique] = reason

    def summary(self, what: str) -> str:
        """Returns `3 of 200 <what>` and the first reasons, a line each."""
        first = [_printable(f"{name}: {reason}") for name, reason in list(self.reasons.items())[:SHOWN]]
        more = [f"and {self.total - SHOWN} more"] if self.total > SHOWN else []
        return "\n".join([f"{self.total} of {self.out_of} {what}:", *first, *more])

    def announce(self, report: Reporter, place: str, what: str) -> None:
        """Warns about what was left out; says nothing where that is nothing."""
        if self.total:
            report(Message(text=f"{place}: {self.summary(what)}", level="warning"))


def _printable(line: str) -> str:
    """Returns a line with names from somebody's file in it, without what would steer a terminal or break UTF-8."""
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def check_unreadable(rejects: Rejects, file: Path, *, finished: bool) -> None:
    """Stops a run that lost too many images; writes the list of them first.

    Args:
        rejects: The images that could not be read so far.
        file: The file that the list is written to.
        finished: Whether all images have been looked at.

    Raises:
        DataError: More than `MOST_UNREADABLE` of the images cannot be read.
    """
    too_many = rejects.total > MOST_UNREADABLE * rejects.out_of
    if rejects.total and (finished or too_many):
        write_json(file, {"pictures": rejects.out_of, "unreadable": rejects.reasons})
    if too_many:
        so_far = "" if finished else " so far"
        raise DataError(
            f"{rejects.total} of {rejects.out_of} pictures cannot be read{so_far}, more than {MOST_UNREADABLE:.0%}",
            where=str(file),
            hint="\n".join([*rejects.summary("").splitlines()[1:], "The file lists them. Mend the data first."]),
        )
