"""Commands that train keep freed memory where the C library can."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from cobra_kit.cli.allocator import keep_freed_memory

FAULTS = """
import resource, sys
from cobra_kit.cli.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(20):
    blocks = [bytearray(8 << 20) for _ in range(8)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults(mode: str) -> int:
    process = subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True)
    return int(process.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_the_same_memory_is_not_fetched_twice() -> None:
    pages = 8 * 8 * 2**20 // 4096
    assert faults("leave") - faults("keep") > 5 * pages


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
