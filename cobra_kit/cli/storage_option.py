"""The option `--storage`: a URL, whole or with its password hidden; and the variable that other users do not see."""

from __future__ import annotations

import os
import sys

import typer

from cobra_kit.cli.process_list import is_visible
from cobra_kit.trials import StorageError, redact_url
from cobra_kit.trials.storage_url import HIDDEN, STORAGE_VARIABLE, is_redacted, parse_url


def storage_option(given: str | None, *, or_environment: bool = False) -> str | None:
    """Returns the whole URL of a storage that was given.

    Args:
        given: As it was typed. A URL with `***`, as our messages show it, is completed from the environment, else the
            password is asked for where somebody sits there.
        or_environment: Take the environment's where none was typed.

    Raises:
        StorageError: It is no URL, or its password is not to be had.
    """
    environment = os.environ.get(STORAGE_VARIABLE) or None
    if given is None:
        return _checked(environment) if environment and or_environment else None
    if is_redacted(given):
        if environment is not None and redact_url(environment) == redact_url(given):
            return _checked(environment)
        return _asked_for(given)
    _checked(given)
    if is_redacted(redact_url(given)) and is_visible(given):
        text = f"every user of this machine can see the password in --storage; {STORAGE_VARIABLE} is not seen"
        typer.echo(f"warning: {text}", err=True)
    return given


def _checked(url: str) -> str:
    parse_url(url)
    return url


def _asked_for(given: str) -> str:
    url = None if given == HIDDEN else parse_url(given)
    # The query may hide more, which nobody can be asked for in one word.
    if url is None or url.password != HIDDEN or HIDDEN in str(dict(url.query)) or not sys.stdin.isatty():
        raise StorageError(
            f"the URL has {HIDDEN} where its password was",
            where=f"--storage {redact_url(given)}",
            hint=f"Set {STORAGE_VARIABLE} to the whole URL and give the same command again, or write the URL out. "
            "PostgreSQL also takes the password from ~/.pgpass, for a URL without one.",
        )
    password = typer.prompt(f"password of {url.username} at {url.host}", hide_input=True, err=True)
    return url.set(password=password).render_as_string(hide_password=False)
