from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cobra_kit.cli.arguments import UsageError, global_options_first

WORDS = st.lists(st.sampled_from(["plugins", "list", "--json", "--debug", "--no-plugins", "--plugin=a.py", "-x", "--"]))


@pytest.mark.parametrize(
    ("line", "moved"),
    [
        ("plugins list", "plugins list"),
        ("plugins list --debug", "--debug plugins list"),
        ("plugins --no-plugins list --json --debug", "--no-plugins --debug plugins list --json"),
        ("plugins list --plugin a.py --json", "--plugin a.py plugins list --json"),
        ("--plugin a.py plugins --plugin=b.py list", "--plugin a.py --plugin=b.py plugins list"),
        ("plugins show --debug -- --debug --plugin", "--debug plugins show -- --debug --plugin"),
        ("plugins list --debugging --plugins x", "plugins list --debugging --plugins x"),
    ],
)
def test_global_options_move_to_the_front(line: str, moved: str) -> None:
    assert global_options_first(line.split()) == moved.split()


@given(WORDS)
def test_no_word_is_lost_and_the_order_of_the_others_stays(words: list[str]) -> None:
    moved = global_options_first(words)
    assert sorted(moved) == sorted(words)
    assert global_options_first(moved) == moved
    ours = {"--debug", "--no-plugins", "--plugin=a.py"}
    assert [word for word in moved if word not in ours] == [word for word in words if word not in ours]
    end = words.index("--") if "--" in words else len(words)
    assert moved[len(moved) - (len(words) - end) :] == words[end:]


@pytest.mark.parametrize("line", ["plugins list --plugin", "plugins list --plugin --json", "--plugin -- x"])
def test_an_option_without_its_value(line: str) -> None:
    with pytest.raises(UsageError, match=r"^option --plugin takes a value$"):
        global_options_first(line.split())
