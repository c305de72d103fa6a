"""RefCOCO as the paper asks it, and its files: `val` of the split unc, 10,834 expressions for 3,811 references."""

from __future__ import annotations

from cobra_kit_benchmarks.common.counts import Counts
from cobra_kit_benchmarks.common.definition import Definition, SplitFiles
from cobra_kit_benchmarks.common.protocol import Protocol, by_name
from cobra_kit_benchmarks.refcoco import prompt, reader, results, units

IMAGES = ("train2014", "images", "../images")


def refer_definition(name: str, label: str, folder: str, split_by: str, counts: Counts) -> Definition:
    """Returns one of the three data sets of referring expressions, which differ in files and sizes alone.

    Args:
        name: Name of the benchmark.
        label: Heading of its column.
        folder: What REFER calls it, such as `refcoco+`.
        split_by: Who split it, as in the name of its pickle.
        counts: Expressions and images of its validation split.
    """
    return Definition(
        name=name,
        label=label,
        protocols=by_name(
            Protocol(
                split=reader.SPLIT,
                rule="refcoco/cobra",
                post_processing="the whole answer is a list of x1, y1, x2, y2 in parts of the image",
            ),
            Protocol(
                name="minigpt4",
                split=reader.SPLIT,
                prompt="minigpt4",
                rule="refcoco/minigpt4",
                post_processing="the answer opens with {<x1><y1><x2><y2>} in hundredths",
            ),
        ),
        splits={
            reader.SPLIT: SplitFiles(
                annotations=(
                    f"{folder}/refs({split_by}).p",
                    f"refs({split_by}).p",
                    f"{folder}_val.json",
                    f"{folder}/{folder}_val.json",
                    f"{folder}.json",
                ),
                images=IMAGES,
            )
        },
        counts={reader.SPLIT: counts},
        read=reader.read,
        prompts=prompt.PROMPTS,
        read_results=results.read,
        aliases=results.aliases,
        inspect=units.inspect,
    )


DEFINITION = refer_definition("refcoco", "RefCOCO", "refcoco", "unc", Counts((10_834,), 1_500))
