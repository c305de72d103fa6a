"""`cobra-kit score` on as many predictions as VQAv2's val has: how long, and how much memory?

    python benchmarks/score_files.py
    taskset -c 0,1 python benchmarks/score_files.py --questions 214354

The files are made here in the official forms: questions about 40,504 images, ten answers to each, of which some differ,
and a prediction for every question. The command runs as a process of its own, twice; the better time counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from random import Random

from child_costs import measured

QUESTIONS, IMAGES = 214_354, 40_504
GOAL_SECONDS, GOAL_BYTES = 20.0, 2e9
WORDS = ("yes", "no", "2", "3", "white", "red", "man", "on the table", "a dog", "the left one", "tennis", "No Parking")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = ["cobra-kit", "score", "benchmarks/vqav2", "--json", *write_files(Path(folder), arguments.questions)]
        runs = [measured(command) for _ in range(arguments.rounds)]
    for run in runs:
        print(run.line())
    if any(run.status for run in runs):
        raise SystemExit("the command failed")
    score = json.loads(runs[0].output)
    print(f"{score['scored']:,} of {score['questions']:,} questions scored: {score['summary']}")
    wall, peak = min(run.wall for run in runs), max(run.peak for run in runs)
    reached = wall <= GOAL_SECONDS and peak <= GOAL_BYTES
    print(f"goal of {GOAL_SECONDS:.0f} s and {GOAL_BYTES / 1e9:.0f} GB: {'reached' if reached else 'MISSED'}")


def write_files(folder: Path, count: int) -> list[str]:
    """Writes questions, annotations and predictions, and returns the options that name them."""
    generator = Random(3)
    head = {"info": {}, "license": {}, "data_type": "mscoco", "data_subtype": "val2014"}
    questions, annotations, predictions = [], [], []
    for number in range(count):
        image, key = number * IMAGES // max(count, IMAGES) + 1, 1000 * number
        first = generator.choice(WORDS)
        given = [first if generator.random() < 0.7 else generator.choice(WORDS) for _ in range(10)]
        questions.append({"image_id": image, "question": f"What is number {number}?", "question_id": key})
        annotations.append(
            {
                "question_id": key,
                "image_id": image,
                "question_type": "what is",
                "answer_type": "other",
                "multiple_choice_answer": first,
                "answers": [
                    {"answer": answer, "answer_confidence": "yes", "answer_id": place}
                    for place, answer in enumerate(given, start=1)
                ],
            }
        )
        predictions.append({"question_id": key, "answer": generator.choice(WORDS)})
    contents = {
        "questions": {**head, "questions": questions},
        "annotations": {**head, "annotations": annotations},
        "predictions": predictions,
    }
    options = []
    for name, content in contents.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        options += [f"--{name}", str(path)]
    return options


if __name__ == "__main__":
    main()
