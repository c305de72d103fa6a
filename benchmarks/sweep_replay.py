"""Does pruning find the grid's best arm for less? A sampler and a pruner replayed over a grid's recorded trajectories.

    cobra-kit sweep GRID.yaml --out GRID      # every point to its end, without pruning
    python benchmarks/sweep_replay.py GRID recipes/sweep_projector.yaml --seeds 5

Nothing is trained here. Each replayed trial is a point of the grid: its recorded validations are what the pruner
sees, its recorded last score is its value. A point that was finished and is suggested again costs nothing, as in a
real search. A search is counted as good if its winner's value lies inside the interval of the grid's best point.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from cobra_kit.evaluate.score import read_scores
from cobra_kit.recipe import load_recipe
from cobra_kit.statistics import QuestionScore, align, bootstrap_mean
from cobra_kit.study.reading.status import stored_trials
from cobra_kit.study.reading.stored_study import read_study
from cobra_kit.study.search import make_pruner, make_sampler, suggest


@dataclass(frozen=True, slots=True)
class Recorded:
    """A point of the grid.

    Args:
        params: Its values.
        looks: Step to the mean accuracy on validation.
        value: Its last score, on all validation questions.
        scores: Of every question.
    """

    params: dict[str, Any]
    looks: dict[int, float]
    value: float
    scores: dict[str, list[QuestionScore]]

    @property
    def steps(self) -> int:
        """Returns how long it trained."""
        return max(self.looks)


def read_grid(folder: Path) -> list[Recorded]:
    """Returns every point of a finished grid."""
    study = stored_trials(read_study(folder))
    grid = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state.name != "COMPLETE":
            raise SystemExit(f"trial {trial.number} is {trial.state.name}: the grid is not finished")
        place = folder / "runs" / str(trial.user_attrs["cobra_kit:run"])
        lines = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
        looks = {line["step"]: line["validation"]["mean"] for line in lines if "validation" in line}
        entries = json.loads((place / "scores.json").read_text())["val"]
        scores = {name: list(read_scores(place / entry["file"])) for name, entry in entries.items()}
        grid.append(Recorded(dict(trial.params), looks, float(trial.values[0]), scores))
    return grid


def replay(grid: list[Recorded], recipe: Any, seed: int, trials: int) -> tuple[Recorded, int, int]:
    """Returns the winner, the steps it took, and how many trials were pruned."""
    section = recipe.sweep
    seeded = recipe.model_copy(update={"sweep": section.model_copy(update={"seed": seed})})
    study = optuna.create_study(direction="maximize", pruner=make_pruner(seeded))
    steps = pruned = 0
    for number in range(trials):
        study.sampler = make_sampler(seeded, number)
        trial = study.ask()
        values = suggest(trial, section.space)
        point = next(recorded for recorded in grid if recorded.params == values)
        if any(known.params == values for known in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))):
            study.tell(trial, point.value)
            continue
        for step, accuracy in sorted(point.looks.items()):
            trial.report(accuracy, step)
            if trial.should_prune():
                steps += step
                pruned += 1
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            steps += point.steps
            study.tell(trial, point.value)
    return next(recorded for recorded in grid if recorded.params == study.best_trial.params), steps, pruned


def lower_end(best: Recorded) -> float:
    """Returns the lower end of the 95 % interval of a point's value, the mean over its benchmarks.

    The benchmarks' own intervals (bootstrap, clustered by image) are combined as independent ones.
    """
    halves = []
    for scores in best.scores.values():
        aligned = align([scores])
        interval = bootstrap_mean(aligned.scores[0], aligned.clusters)
        assert interval.low is not None
        halves.append(interval.value - interval.low)
    return best.value - math.sqrt(sum(half**2 for half in halves)) / len(halves)


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("grid", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, help="as many as the recipe says unless given")
    wanted = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    recipe = load_recipe(wanted.recipe)
    assert recipe.sweep is not None
    grid = read_grid(wanted.grid)
    best = max(grid, key=lambda recorded: recorded.value)
    whole, low = sum(recorded.steps for recorded in grid), lower_end(best)
    seeds = []
    for seed in range(wanted.seeds):
        winner, steps, pruned = replay(grid, recipe, seed, wanted.trials or recipe.sweep.trials)
        seeds.append(
            {
                "seed": seed,
                "winner": winner.params,
                "value": winner.value,
                "pruned": pruned,
                "share_of_the_grid_s_steps": round(steps / whole, 3),
                "inside": winner.value >= low,
            }
        )
    good = sum(replayed["inside"] and replayed["share_of_the_grid_s_steps"] <= 0.5 for replayed in seeds)
    report = {
        "grid": {"points": len(grid), "steps": whole, "best": best.params, "value": best.value, "lower_end": low},
        "values": sorted((round(recorded.value, 4) for recorded in grid), reverse=True),
        "seeds": seeds,
        "inside_with_half_the_steps": f"{good} of {len(seeds)}",
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
