from __future__ import annotations

import os
import subprocess
import sys

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
def test_no_word_is_lost_and_the_order_of_the_others_stays(arguments: list[str]) -> None:
    moved = global_options_first(arguments)
    assert sorted(moved) == sorted(arguments)
    assert global_options_first(moved) == moved
    ours = {"--debug", "--no-plugins", "--plugin=a.py"}
    assert [word for word in moved if word not in ours] == [word for word in arguments if word not in ours]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    assert moved[len(moved) - (len(arguments) - end) :] == arguments[end:]


@pytest.mark.parametrize("line", ["plugins list --plugin", "plugins list --plugin --json", "--plugin -- x"])
def test_an_option_without_its_value(line: str) -> None:
    with pytest.raises(UsageError, match=r"^option --plugin takes a value$"):
        global_options_first(line.split())


def spin_count(**variables: str) -> str:
    program = (
        "import os, sys, cobra_kit.cli; cobra_kit.cli.main(['--version']); print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    done = subprocess.run([sys.executable, "-c", program], env=kept | variables, capture_output=True, text=True)
    return done.stdout.split()[-1]


def test_threads_that_wait_sleep_soon_unless_the_user_says_otherwise() -> None:
    assert spin_count() == "1000"
    assert spin_count(GOMP_SPINCOUNT="7") == "7"
    assert spin_count(OMP_WAIT_POLICY="active") == "None"
