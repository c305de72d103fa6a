"""Finding recipes: a path, a packaged name, or `plugin/name` of an installed plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from cobra_kit._plugins import Registry, default_registry
from cobra_kit.errors import ArgumentError, DamagedFile, RecipeError, UnreadableFile, kind_of
from cobra_kit.files import decode_utf8, expanded, read_utf8
from cobra_kit.formatting import did_you_mean, nearest, suggest
from cobra_kit.recipe.not_built import NOT_BUILT

_ENDINGS = (".yaml", ".yml")
RECIPE_BYTES = 1 << 19
"""The most that a recipe holds, some fifteen thousand lines: reading a text of this form takes a while."""

_PRETRAINING = ("towers/", "backbones/")


@dataclass(frozen=True, slots=True)
class RecipeSource:
    """A recipe file that was found: what errors call it, its name, and how it is read."""

    display: str
    name: str
    file: Traversable

    @property
    def folder(self) -> Path | None:
        """Returns the folder that a relative `extends` starts from; None inside an archive."""
        return self.file.parent if isinstance(self.file, Path) else None

    @property
    def identity(self) -> str:
        """Returns what two sources of one file share."""
        return str(self.file.resolve()) if isinstance(self.file, Path) else str(self.file)

    @property
    def is_builtin(self) -> bool:
        """Returns whether it is one of the packaged recipes."""
        folder = builtin_recipes_dir()
        return folder is not None and Path(str(self.file)).resolve().is_relative_to(folder.resolve())

    def read(self) -> str:
        """Returns the text.

        Raises:
            RecipeError: It cannot be read, or is not UTF-8.
        """
        try:
            if isinstance(self.file, Path):
                return read_utf8(self.file, RECIPE_BYTES)
            return decode_utf8(self.file.read_bytes(), self.display)
        except UnreadableFile as error:
            hint = None if isinstance(error, DamagedFile) else error.hint
            raise RecipeError(error.message, where=self.display, hint=hint) from error
        except OSError as error:
            raise RecipeError(f"cannot be read: {error.strerror or error}", where=self.display) from error


def builtin_recipes_dir() -> Path | None:
    """Returns the folder of packaged recipes: inside an installed package, else the checkout's; None if neither."""
    package = Path(str(files("cobra_kit")))
    if (package / "_recipes").is_dir():
        return package / "_recipes"
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "recipes").is_dir():
        return checkout / "recipes"
    return None


def builtin_recipes() -> dict[str, Path]:
    """Returns the packaged recipes by name, sub-folders included, without `pretraining_recipes`: another form."""
    return {name: path for name, path in _packaged().items() if not name.startswith(_PRETRAINING)}


def pretraining_recipes() -> dict[str, Path]:
    """Returns the packaged recipes that pretrain one part, by name (`towers/siglip_tiny`)."""
    return {name: path for name, path in _packaged().items() if name.startswith(_PRETRAINING)}


def _packaged() -> dict[str, Path]:
    folder = builtin_recipes_dir()
    if folder is None:
        return {}
    paths = (path for path in folder.rglob("*.yaml") if path.is_file())
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(paths)}


def find_recipe(
    source: str | Path,
    *,
    relative_to: Path | None = None,
    registry: Registry | None = None,
    packaged: Mapping[str, Path] | None = None,
) -> RecipeSource:
    """Returns the recipe that a path or a name stands for.

    Looked up in this order: a file at the path (relative to `relative_to`, else to the working directory), a packaged
    recipe (`cobra_tiny`, `cobra_tiny.yaml`, `recipes/cobra_tiny.yaml`), a plugin's recipe (`plugin/name`).

    Raises:
        RecipeError: There is none; the nearest names are given.
    """
    if not isinstance(source, str | Path):
        raise ArgumentError(
            f"a recipe is named by a text or a path, not {kind_of(source)}", hint="Such as 'recipes/cobra_tiny.yaml'."
        )
    path = expanded(source) if relative_to is None else relative_to / expanded(source)
    try:
        if path.is_file():
            return _source(path)
        if path.is_dir() and path.suffix in _ENDINGS:
            raise RecipeError("is a folder, not a recipe", where=str(source))
    except (OSError, ValueError) as error:  # a name too long for the file system, a null byte
        raise RecipeError(f"not a usable path: {error}", where=ascii(str(source))[:80]) from error
    name = _plain_name(source)
    packaged = builtin_recipes() if packaged is None else packaged
    if name in packaged:
        return _source(packaged[name])
    plugins = (registry or default_registry()).recipes()
    if name in plugins:
        return RecipeSource(_display(plugins[name]), name.rpartition("/")[2], plugins[name])
    absent = next((entry for entry in NOT_BUILT if entry.name == name), None)
    if absent is not None:
        raise RecipeError(
            f"{absent.title} is not built: {absent.reason}",
            where=str(source),
            hint=f"The nearest recipe is {absent.instead}.",
        )
    near = did_you_mean(nearest(str(path), _siblings(path), most=1)) or suggest(
        name, [*packaged, *plugins], what="packaged recipes"
    )
    start = "the working directory" if relative_to is None else "the folder of the file that names it"
    listing = f"cobra-kit recipes list shows the packaged ones; a path starts at {start}"
    raise RecipeError(f"no recipe {str(source)!r}", hint=f"{near}\n{listing}")


def _plain_name(source: str | Path) -> str:
    name = PurePosixPath(Path(source).as_posix())
    if name.suffix in _ENDINGS:
        name = name.with_suffix("")
    return str(name).removeprefix("recipes/")


def _siblings(path: Path) -> list[str]:
    folder = path.parent
    return sorted(str(p) for ending in _ENDINGS for p in folder.glob(f"*{ending}")) if folder.is_dir() else []


def _source(path: Path) -> RecipeSource:
    return RecipeSource(_display(path), path.stem, path)


def _display(file: Traversable) -> str:
    """Returns a path relative to the working directory if it lies inside, else as it is."""
    if not isinstance(file, Path):
        return str(file)
    try:
        return file.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except (ValueError, OSError):
        return str(file)
