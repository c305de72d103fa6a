"""What errors are, in one line."""

import pytest

from cobra_kit.errors import CobraError, first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n a \nb"), "a "),
        (ValueError(), "ValueError"),
        (ValueError(" \n"), "ValueError"),
        (CobraError("wrong", where="file", hint="mend it"), "file: wrong"),
    ],
)
def test_the_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line
