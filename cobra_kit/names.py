"""Names that anybody may have written, and which of them may name a file or stand in a command.

An arm, a run and a trial have names of letters, digits and a few signs; whatever a person or a plugin calls a study, a
profile or a benchmark may have any letters, but makes one name in one folder and shows what it says.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from cobra_kit.control_characters import printable

LONGEST_NAME = 200
"""Most characters of a name: file systems have 255 bytes for it and what is put around it."""

ARM_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_+-]*$"
"""An arm names a folder and a key of --set."""

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")
_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95})?")
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def is_run_name(name: object) -> bool:
    """Returns whether a name is one that a run or a trial may have, such as `mlp-s7` or `trial-0004`."""
    return isinstance(name, str) and len(name) <= LONGEST_NAME and _RUN.fullmatch(name) is not None


def name_problem(name: str) -> str | None:
    """Returns why a text cannot name a study, a profile or a benchmark, such as `holds a /`; None where it can."""
    if not name.strip():
        return "is empty"
    if len(name) > LONGEST_NAME or len(name.encode("utf-8", "replace")) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} characters"
    if printable(name) != name:
        return "holds control characters"
    for sign in "/\\":
        if sign in name:
            return f"holds a {sign}"
    return "names a folder above" if name in (".", "..") else None


def is_word(text: str) -> bool:
    """Returns whether a text from elsewhere may stand in a printed command: quoted, it is neither an option nor a path.

    A shell's quotes keep it from being a command, not from being `--plugin=FILE`.
    """
    return name_problem(text) is None and not text.startswith(("-", "~", "."))


def path_word(path: str | Path) -> str:
    """Returns a path as a word of a command: one that begins like an option gets `./` in front."""
    text = str(path)
    return f"./{text}" if text.startswith("-") else text


def install_command(requirements: Iterable[str]) -> str:
    """Returns the command that installs requirements, quoted for a shell.

    A requirement that names an address, or is none, is not made a command: it would fetch and run whatever is there.
    """
    wanted = list(requirements)
    if all(map(is_installable, wanted)):
        # In quotes even where a shell needs none: whoever adds `>=2` to it will need them.
        return " ".join(["pip", "install", *(shlex.quote(text) if "'" in text else f"'{text}'" for text in wanted)])
    listed = ", ".join(repr(requirement) for requirement in wanted if not is_installable(requirement))
    return f"install {listed} yourself, if you know and trust who made it: it names an address, not a package"


def download_command(repository: str, *words: str) -> str:
    """Returns the command that fetches a repository of the Hugging Face hub.

    What is no name of one, such as `--token`, is not made a command.
    """
    if _REPOSITORY.fullmatch(repository) is None:
        return f"{repository[:60]!a} is no name of a repository"
    return shlex.join(["hf", "download", repository, *words])


def is_pinned_package(name: object, version: object) -> bool:
    """Returns whether a package and its version, of PEP 508 and PEP 440, may stand in a printed `pip install`."""
    if not isinstance(name, str) or not isinstance(version, str):
        return False
    if not _DISTRIBUTION.fullmatch(name) or not _VERSION.fullmatch(version):
        return False
    try:
        Version(version)
    except InvalidVersion:
        return False
    return len(name) <= LONGEST_NAME and len(version) <= LONGEST_NAME


def is_installable(requirement: str) -> bool:
    """Returns whether a requirement of PEP 508 may stand in a printed `pip install`: of an index, and of no address."""
    try:
        return Requirement(requirement).url is None and printable(requirement) == requirement
    except InvalidRequirement:
        return False
