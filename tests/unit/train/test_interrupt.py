"""Signals act between two steps: a terminal's second one too, a second Ctrl-C at once."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest

from cobra_kit.processes import Terminated, terminations_raised
from cobra_kit.train.interrupt import postponed_interrupts


def raised(*numbers: int) -> list[int]:
    """Raises signals within a block; returns those after which the block went on."""
    survived = []
    with terminations_raised(), suppress(KeyboardInterrupt), postponed_interrupts() as interrupt:
        for number in numbers:
            signal.raise_signal(number)
            assert interrupt.requested()
            survived.append(number)
    return survived


def test_signals_that_come_twice_act_after_the_block() -> None:
    assert raised(signal.SIGHUP, signal.SIGTERM) == [signal.SIGHUP, signal.SIGTERM]
    with terminations_raised(), pytest.raises(Terminated, match="SIGHUP"), postponed_interrupts():
        signal.raise_signal(signal.SIGHUP)


def test_a_second_ctrl_c_acts_at_once() -> None:
    assert raised(signal.SIGINT, signal.SIGINT) == [signal.SIGINT]


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with postponed_interrupts() as interrupt:
            signal.raise_signal(signal.SIGHUP)
        assert not interrupt.requested()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
