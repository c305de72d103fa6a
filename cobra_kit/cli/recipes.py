"""`cobra-kit recipes`: what recipes there are, what one says, whether it holds, how two differ, what a study shows.

Only the options stand here; what the commands do is in `recipes_actions`, imported when one runs.
"""

from __future__ import annotations

from typing import Annotated

import typer

from cobra_kit.cli.arguments import UsageError
from cobra_kit.cli.options import JsonOption, ProfileOption, RecipeArgument, SetOption, show_help

app = typer.Typer(help="Recipes: list, show, validate and compare them.", rich_markup_mode=None)
app.callback(invoke_without_command=True)(show_help)


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List the packaged recipes and those of plugins."""
    from cobra_kit.cli import recipes_actions

    recipes_actions.list_all(as_json=as_json)


@app.command("show")
def show(
    recipe: RecipeArgument,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Everything merged, names qualified, defaults written out.")
    ] = False,
    arm: Annotated[str | None, typer.Option("--arm", help="One arm of an ablation, resolved.")] = None,
    profile: ProfileOption = None,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a recipe as its file has it; resolved with --resolved, --arm, --profile, --set or --json."""
    from cobra_kit.cli import recipes_actions

    if resolved or arm or profile or changes or as_json:
        recipes_actions.show_resolved(recipe, arm=arm, profile=profile, changes=changes or (), as_json=as_json)
    else:
        recipes_actions.show_file(recipe)


@app.command("validate")
def validate(
    recipe: RecipeArgument,
    profile: Annotated[str | None, typer.Option("--profile", help="Only this profile; else all of them.")] = None,
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a recipe under all its profiles: names, settings, arms, and whether the parts fit each other."""
    from cobra_kit.cli import recipes_actions

    recipes_actions.validate(recipe, profile=profile, changes=changes or (), as_json=as_json)


@app.command("diff")
def diff(
    recipe: RecipeArgument,
    other: Annotated[str | None, typer.Argument(metavar="OTHER", help="The recipe to compare with.")] = None,
    arms: Annotated[bool, typer.Option("--arms", help="Compare the arms of one recipe with its reference.")] = False,
    profile: ProfileOption = None,
    other_profile: Annotated[str | None, typer.Option("--other-profile", help="Which profile of OTHER.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two recipes, or the arms of one, after everything is resolved."""
    from cobra_kit.cli import recipes_actions

    if arms == (other is not None) or (arms and other_profile is not None):
        raise UsageError("recipes diff takes either two recipes, or one and --arms")
    if other is None:
        recipes_actions.diff_arms(recipe, profile=profile, as_json=as_json)
    else:
        recipes_actions.diff(recipe, other, profile=profile, other_profile=other_profile, as_json=as_json)


@app.command("calibrate")
def calibrate(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study's folder, or the recipe whose study is in its own folder.")
    ],
    profile: Annotated[str | None, typer.Option("--profile", help="Which profile of a recipe.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Show whether a study's questions can tell arms apart: where its reference arm is between floor and ceiling.

    Levels of questions and steps of training are chosen by the reference arm alone, before other arms are looked at:
    whoever chooses by a difference chooses the result. So the reference's scores are shown and no other arm's; others
    serve the smallest difference that can be seen, by the spread of their paired differences.

    The exit status is 1 where a benchmark is not between 20 and 90 % of the way, or fewer than 3 seeds are finished.
    """
    from cobra_kit.cli import calibrate_action

    return calibrate_action.calibrate(study, profile=profile, as_json=as_json)


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of a recipe file, for editors; `plugins show` has the settings of a component."""
    from cobra_kit.cli import recipes_actions

    recipes_actions.schema()
