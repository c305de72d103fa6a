"""Times the fingerprint of a folder of images: the first time, when every file is read, and the second.

    python benchmarks/image_hashes.py --out benchmarks/results/image_hashes.json

Each time is a process's own work on the wall: reading what is remembered, hashing or looking, writing what is new. The
files have just been written, so they come from the system's memory and not from a disk; the benchmark waits until they
count as left alone. Beside it, in turn: one thread that reads and hashes them, with nothing remembered.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from pathlib import Path

from interleave import Claim, Report, ratio, take_turns

from cobra_kit.data.image_folder import ImageFolder

GOALS = {"first time": 3000.0, "second time": 500.0}
"""Milliseconds at most, for 20,000 files."""
_SETTLED_SECONDS = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--bytes", type=int, default=12_000, help="of a file, on average")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        os.environ["COBRA_KIT_CACHE"] = str(Path(text, "cache"))
        folder = Path(text, "images")
        names = write_files(folder, options.files, options.bytes)
        time.sleep(_SETTLED_SECONDS)
        calls = {
            "first time": lambda: first_time(folder, names),
            "second time": lambda: ImageFolder(folder).fingerprint(names),
            "one thread, nothing remembered": lambda: plain(folder, names),
        }
        times = take_turns(calls, options.rounds)
    report = Report("image_hashes", notes=["Files of the system's memory, not of a disk. Time on the wall."])
    report.add(f"fingerprint of {options.files:,} files of {options.bytes / 1000:g} kB on average", times)
    for name, goal in GOALS.items():
        full = goal if options.files == 20_000 else None
        report.claim(Claim(f"median of the {name}", statistics.median(times[name]), "ms", full, at_least=False))
    report.claim(Claim("second time over first", ratio(times, "first time", "second time")))
    report.write(options.out)


def write_files(folder: Path, count: int, size: int) -> list[str]:
    """Writes files of different contents and sizes; returns their names."""
    folder.mkdir()
    noise = os.urandom(2 * size)
    names = [f"{number:06}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        length = size // 2 + number % size
        (folder / name).write_bytes(number.to_bytes(8, "little") + noise[: length - 8])
    return names


def first_time(folder: Path, names: list[str]) -> None:
    """Hashes them all, with nothing remembered before and everything after."""
    for file in Path(os.environ["COBRA_KIT_CACHE"], "image-hashes").glob("*.json"):
        file.unlink()
    ImageFolder(folder).fingerprint(names)


def plain(folder: Path, names: list[str]) -> str:
    """Reads and hashes them one after another."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
