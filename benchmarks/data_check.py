"""`cobra-kit data check`: how long for 100,000 rows with small images, and does memory grow with the rows?

    python benchmarks/data_check.py
    python benchmarks/data_check.py --rows 10000 100000 1000000

Rows in LLaVA's form and JPEG images of 64 by 64 pixels are made here. The first rows up to 100,000 have an image each;
further rows use those again, so the last size asks what rows cost and not what images do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from child_costs import ChildCosts, measured
from PIL import Image

IMAGES, TIMED_ROWS, GOAL_SECONDS = 100_000, 100_000, 60.0
MOST_GROWTH = 0.15
"""By how much the memory of the most rows may exceed that of the fewest."""
RECIPE = """
title: Rows of a benchmark
model:
  vision_encoder: {{use: siglip/tiny, weights: none, width: 24, depth: 2, heads: 2}}
  projector: {{use: mlp/gelu}}
  fusion: {{use: fusion/image-first}}
  backbone: {{use: mamba/tiny, d_model: 32, n_layer: 1, d_state: 4}}
data: {{source: llava/rows, rows: {folder}/rows.json, images: {folder}/images}}
train:
  finetune: {{steps: 20, batch_size: 4}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    sizes = sorted(parser.parse_args().rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images", min(IMAGES, sizes[-1]))
        (folder / "recipe.yaml").write_text(RECIPE.format(folder=folder), encoding="utf-8")
        costs = {rows: check(folder, rows) for rows in sizes}
    growth = costs[sizes[-1]].peak / costs[sizes[0]].peak - 1
    print(f"memory of {sizes[-1]:,} rows against {sizes[0]:,}: {growth:+.1%}; flat: {verdict(growth <= MOST_GROWTH)}")
    if TIMED_ROWS in costs:
        wall = costs[TIMED_ROWS].wall
        print(f"{TIMED_ROWS:,} rows in {wall:.1f} s; goal of {GOAL_SECONDS:.0f} s: {verdict(wall <= GOAL_SECONDS)}")


def verdict(reached: bool) -> str:
    """Returns a word that nobody overlooks."""
    return "reached" if reached else "MISSED"


def write_images(folder: Path, count: int) -> None:
    """Writes images that all differ, a thousand to a folder."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for number in range(count):
        path = folder / image_name(number)
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        noise[0, 0] = [number >> 16, number >> 8 & 255, number & 255]
        Image.fromarray(np.roll(noise, number, axis=1)).save(path, quality=60)


def image_name(number: int) -> str:
    """Returns the path of an image below their folder."""
    return f"{number // 1000:03}/{number:06}.jpg"


def check(folder: Path, rows: int) -> ChildCosts:
    """Writes some rows, checks them, and returns what that took."""
    with open(folder / "rows.json", "w", encoding="utf-8") as file:
        for number in range(rows):
            human = {"from": "human", "value": f"<image>\nWhat is in picture {number}?"}
            answer = {"from": "gpt", "value": f"It is number {number}, of which nothing else can be said."}
            row = {"id": f"row-{number}", "image": image_name(number % IMAGES), "conversations": [human, answer]}
            file.write(("[" if number == 0 else ",\n") + json.dumps(row))
        file.write("]")
    costs = measured(["cobra-kit", "data", "check", str(folder / "recipe.yaml"), "--json"])
    if costs.status:
        raise SystemExit(f"the check failed: {costs.output[:500]}")
    seen = json.loads(costs.output)
    assert (seen["rows"], seen["images"]) == (rows, min(rows, IMAGES))
    print(f"{rows:>9,} rows, {seen['images']:>7,} images  {costs.line()}", flush=True)
    return costs


if __name__ == "__main__":
    main()
