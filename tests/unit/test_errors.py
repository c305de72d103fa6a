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


def test_an_unfinished_escape_sequence_in_a_name_takes_nothing_of_the_message() -> None:
    assert str(CobraError("one image", where="\x9b")) == "one image"
    assert str(CobraError("one image", where="a\x9b3")) == "a3: one image"
