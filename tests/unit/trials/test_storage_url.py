"""What of a storage's URL anybody may see; every secret here is `s3cret` or holds it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.trials import StorageError, redact_url
from cobra_kit.trials.storage_url import HIDDEN, is_redacted, parse_url, redact_text, redact_urls_in


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:s3cret@host/db", "postgresql+psycopg://me:***@host/db"),
        ("postgresql+psycopg://me:s3/cret@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
        ("postgresql+psycopg://me:s3%40cret@host/db", "postgresql+psycopg://me:***@host/db"),
        ("postgresql://me:@host/db", "postgresql://me:***@host/db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://me@host/db?password=s3cret", "postgresql://me@host/db?password=***"),
        ("postgresql://me@host/db?PASSWORD=s3cret", "postgresql://me@host/db?PASSWORD=***"),
        (
            "postgresql://me@host/db?sslpassword=s3cret&sslmode=require&passfile=/s3cret",
            "postgresql://me@host/db?passfile=***&sslmode=require&sslpassword=***",
        ),
        ("postgresql:///db?dbname=password%3Ds3cret", "postgresql:///db?dbname=***"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Ds3cret", "mssql+pyodbc:///?odbc_connect=***"),
        # Two readings: what stands behind the first @ would pass for the host, and be shown.
        ("postgresql://me:a@s3cret@host/db", HIDDEN),
        ("postgresql://me:a@b/s3cret@host/db", HIDDEN),
        ("postgresql://me:a@b?c=s3cret@host/db", HIDDEN),
        ("postgresql://me/x:s3cret@host/db", HIDDEN),
        ("postgresql://me%3As3cret@host/db", HIDDEN),
        # None at all.
        ("postgresql://me:s3cret/db", HIDDEN),
        ("postgresql:/me:s3cret@host/db", HIDDEN),
        ("host=h password=s3cret", HIDDEN),
        ("postgresql://me:s3\ncret@host/db", HIDDEN),
        (" postgresql://me:s3cret@host/db", HIDDEN),
        ("postgresql://host/" + "s3cret" * 100, HIDDEN),
        ("", HIDDEN),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    assert is_redacted(shown) is (HIDDEN in shown)


@given(st.text(st.characters(codec="utf-8", exclude_characters="0123456789"), min_size=1, max_size=20))
def test_whatever_a_password_is_written_with_it_is_not_shown(noise: str) -> None:
    secret = f"77{noise}77"
    for url in (f"postgresql://me:{secret}@host/db", f"postgresql://me@host/db?password={secret}"):
        shown = redact_url(url)
        assert "77" not in shown
        assert redact_url(shown) == shown  # what is noted once stays the same


@pytest.mark.parametrize(
    "url", ["postgresql://me:a@s3cret@host/db", "postgresql://me:s3cret/db", "host=h password=s3cret", "", "***"]
)
def test_a_url_that_cannot_be_read_is_refused_without_a_piece_of_it(url: str) -> None:
    with pytest.raises(StorageError, match="no URL of a database") as caught:
        parse_url(url)
    assert "s3cret" not in str(caught.value)
    assert "write @ as %40" in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_driver_that_quotes_the_password_is_not_quoted() -> None:
    url = "postgresql://me:s3%40cret@host/db?sslpassword=other"
    text = f"cannot use 's3@cret' or s3%40cret, nor other; another is no secret ({url})"
    hidden = "postgresql://me:***@host/db?sslpassword=***"
    assert redact_text(text, url) == f"cannot use '***' or ***, nor ***; another is no secret ({hidden})"


def test_urls_in_a_text_lose_their_passwords_and_others_stay() -> None:
    text = "unexpected argument (postgresql://me:s3cret@host/db) and postgresql://host/db?password=s3cret: no"
    hidden = "unexpected argument (postgresql://me:***@host/db) and postgresql://host/db?password=***: no"
    assert redact_urls_in(text) == hidden
    harmless = "pip install git+https://github.com/me/it@v1, see https://host:80/a?b=c and me@host"
    assert redact_urls_in(harmless) == harmless
