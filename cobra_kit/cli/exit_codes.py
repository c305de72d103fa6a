"""The exit codes of `cobra-kit`; those above 2 are what shells and sysexits.h call these things."""

from __future__ import annotations

OK, FAILED, USAGE, INTERNAL, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 70, 130, 141
