"""URLs of databases as everybody may see them: without passwords, and nothing at all of one that cannot be read.

What a URL's parts are is SQLAlchemy's to say, since it is SQLAlchemy that connects: a pattern of our own would take
another piece for the password than the driver is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

from cobra_kit.trials.storage_error import StorageError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

HIDDEN: Final = "***"
"""What stands for a password; a URL that cannot be read is nothing but this."""
STORAGE_VARIABLE: Final = "COBRA_KIT_STORAGE"
"""The environment's variable for a storage's URL: unlike a command line, other users cannot read it."""
FORM: Final = "postgresql+psycopg://USER@HOST/NAME"
"""What a storage's URL looks like, for hints."""

_HARMLESS = frozenset(
    [
        *("host", "hostaddr", "port", "dbname", "user", "service", "driver", "charset", "client_encoding"),
        *("sslmode", "ssl_mode", "sslrootcert", "sslsni", "gssencmode", "channel_binding", "target_session_attrs"),
        *("application_name", "connect_timeout", "keepalives", "keepalives_idle", "tcp_user_timeout"),
    ]
)
"""Keys of a URL's query whose values name a place or a mode. All others are hidden: drivers have many for secrets."""
_LONGEST = 500
_PLAIN_VALUE = re.compile(r"[\w.,:/ \[\]-]{0,200}")
_PLAIN_DATABASE = re.compile(r"[\w.,$+/ -]{0,200}")
_PLAIN_HOST = re.compile(r"[\w.:%-]{0,255}")
_IN_TEXT = re.compile(r"[\w+]+:/{1,3}\S*[^\s:;,.)\]}'\"]")
_TELLTALE = re.compile(r":/{1,3}[^@/]*:.*@|[?&;][^=]*(?:pass|pwd|secret|token|key)[^=]*=", re.IGNORECASE)


def parse_url(url: str) -> URL:
    """Returns a URL as SQLAlchemy reads it.

    Raises:
        StorageError: It is none, or two readings of it are possible. Nothing of the URL is in the error.
    """
    parsed = _parsed(url)
    if parsed is None:
        raise StorageError(
            "--storage: no URL of a database: it cannot be read, so it is not shown here, for it may hold a password",
            hint=f"Such as {FORM}. In a password, write @ as %40, / as %2F, : as %3A, ? as %3F and % as %25.",
        )
    return parsed


def redact_url(url: str) -> str:
    """Returns a URL without its password, and without the values of its query that may be one.

    Of a URL that cannot be read, or only in a way that its writer cannot have meant, nothing is left.
    """
    parsed = _parsed(url) if len(url) <= _LONGEST else None
    if (
        parsed is None
        or not _PLAIN_HOST.fullmatch(parsed.host or "")
        or not _PLAIN_DATABASE.fullmatch(parsed.database or "")
    ):
        return HIDDEN
    query = {key: value if _is_harmless(key, value) else HIDDEN for key, value in parsed.query.items()}
    shown: str = parsed.set(query=query).render_as_string(hide_password=True)
    return shown.replace(quote_plus(HIDDEN), HIDDEN)


def is_redacted(url: str) -> bool:
    """Returns whether a URL has been through `redact_url` and lost something there."""
    return HIDDEN in url


def redact_text(text: str, url: str) -> str:
    """Returns a text, such as a driver's error, without what is secret in a URL, and without the URL."""
    text = text.replace(url, redact_url(url)) if url else text
    for secret in sorted(_secrets(url), key=len, reverse=True):
        # At word boundaries: a password `a` is not to be cut out of every word.
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def redact_urls_in(text: str) -> str:
    """Returns a text of unknown origin, such as what was typed, in which URLs with a password are without it."""
    return _IN_TEXT.sub(lambda match: redact_url(match[0]) if _TELLTALE.search(match[0]) else match[0], text)


def _parsed(url: str) -> URL | None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    # SQLAlchemy takes the first @ for the end of the password. With another behind it, the rest of the password would
    # pass for the host: looked up, and shown as one.
    if not url.isprintable() or url != url.strip() or url.count("@") > 1:
        return None
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # SQLAlchemy's own, and a port that is no number
        return None
    # `me%3Asecret@` is a user of that odd name, and surely meant otherwise.
    return None if ":" in (parsed.username or "") else parsed


def _is_harmless(key: str, value: str | tuple[str, ...]) -> bool:
    values = (value,) if isinstance(value, str) else value
    return key in _HARMLESS and all(_PLAIN_VALUE.fullmatch(each) for each in values)


def _secrets(url: str) -> Iterator[str]:
    """Yields what is secret in a URL, as it is and as it is written there."""
    parsed = _parsed(url)
    if parsed is None:
        return
    hidden = [parsed.password, *(each for key, value in parsed.query.items() for each in _hidden(key, value))]
    for secret in hidden:
        if secret:
            yield from (str(secret), quote(str(secret), safe=" +"), quote_plus(str(secret)))


def _hidden(key: str, value: str | tuple[str, ...]) -> tuple[str, ...]:
    if _is_harmless(key, value):
        return ()
    return (value,) if isinstance(value, str) else value
