"""The exit codes of `cobra-kit`; those above 3 are what shells and sysexits.h call these things.

A signal that ended the program gives 128 and its number: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
"""

from __future__ import annotations

OK, FAILED, USAGE, INTERNAL, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 70, 130, 141
TRIALS_FAILED = 3
"""Of a `sweep` that made its table, while some of its trials failed."""
BY_SIGNAL = 128
