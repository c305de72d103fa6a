"""The error tree of cobra-kit: every error a user can cause is a `CobraError`.

A message says what is wrong, where, and what to do. The command line prints it without a traceback.
"""

from __future__ import annotations

import errno

from cobra_kit.control_characters import printable_lines

_LONGEST_LINE = 10_000


class CobraError(Exception):
    """An error that a user can understand and mend.

    Args:
        message: What is wrong, with the offending value in it; one line.
        where: The place of the error, such as `recipes/mine.yaml:14: model.projector.use`.
        hint: What to do about it; may have several lines.
    """

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """Returns `where: message` and, below it and indented, the hint; without what a terminal would obey."""
        # By itself: an escape sequence that the name of a file begins would take a letter of the message for its end.
        where = printable_lines(str(self.where or ""))
        lines = [f"{where}: {self.message}" if where else str(self.message)]
        if self.hint:
            lines += [f"       {line}" for line in str(self.hint).splitlines()]
        return printable_lines("\n".join(lines), _LONGEST_LINE)


class ArgumentError(CobraError, ValueError):
    """An argument of a public function has a value or a type that the function does not take.

    A `ValueError` too, which is what Python's own functions raise there, so that callers who catch that still do.
    """


class PluginError(CobraError):
    """A plugin or a component of one cannot be found, loaded or used."""


class NotFinishedError(PluginError):
    """A component is registered under its final name, but cannot be built in this version."""


class RecipeError(CobraError):
    """A recipe is missing, malformed, or asks for something that cannot be."""


class ShapeError(CobraError):
    """Parts do not fit each other, or a tensor does not have the shape its contract names."""


class PartError(PluginError, ShapeError):
    """A part of a model returned what its contract, or the batch's layout, does not allow."""


class WeightsError(CobraError):
    """A checkpoint is missing, damaged, or does not fit the module it is loaded into."""


class DamagedWeightsError(WeightsError):
    """The bytes of a checkpoint are wrong, whatever machine reads them; one that cannot be read is not that."""


class ImageError(CobraError):
    """An image cannot be read or prepared."""


class TextError(CobraError):
    """A conversation or a tokenizer breaks the rules of its template."""


class KernelError(CobraError):
    """A kernel cannot be built, or was called with tensors it does not take."""


class DataError(CobraError):
    """A data source, its rows or its images are missing or broken."""


class TrainingError(CobraError):
    """Training cannot start, go on, or be resumed."""


class UnreadableFile(CobraError):
    """A file cannot be read or used as it stands.

    Args:
        path: The file, perhaps with a place in it.
        what: What is wrong; one line.
        hint: What to do about it: one command or action that helps.
    """

    def __init__(self, path: object, what: str, hint: str | None = None) -> None:
        super().__init__(what, where=str(path), hint=hint)

    def __reduce__(self) -> tuple[type[UnreadableFile], tuple[str | None, str, str | None]]:
        return type(self), (self.where, self.message, self.hint)


class DamagedFile(UnreadableFile):
    """A file is not what whoever wrote it wrote: cut, garbled, of another form or size, or naming what it may not."""


_SHORTAGE = {errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_SHORT_OF_MEMORY = ("DefaultCPUAllocator", "allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that memory ran out: Python's, the system's, or torch's on CPU or GPU."""
    cls = type(error)  # not isinstance, which asks the error itself: a plugin's own may raise at that, too
    if issubclass(cls, MemoryError) or (issubclass(cls, OSError) and getattr(error, "errno", None) == errno.ENOMEM):
        return True
    # torch has no type of its own for the CPU; the GPU's is known by its name, since this module imports no torch.
    return issubclass(cls, RuntimeError) and (
        class_name(cls) == "OutOfMemoryError" or any(words in text_of(error) for words in _SHORT_OF_MEMORY)
    )


def text_of(error: BaseException) -> str:
    """Returns an error's own text; an empty one where asking for it raises, as an exception of a plugin's may."""
    try:
        return str.__str__(str(error))  # a subclass of str would bring methods of its own
    except BaseException:
        return ""


def class_name(cls: type) -> str:
    """Returns a class's name as Python knows it, whatever its metaclass says."""
    return str(type.__dict__["__name__"].__get__(cls))


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's text, or its type where it has none: for a message that goes on itself."""
    return (text_of(error).strip() or class_name(type(error))).splitlines()[0]


def is_shortage(error: BaseException) -> bool:
    """Returns whether an error says that the system is short of memory or open files, and nothing about a file."""
    return is_out_of_memory(error) or (isinstance(error, OSError) and error.errno in _SHORTAGE)


SHORTAGE_HINT = (
    "The system has none left. End other programs, or raise the limit (ulimit -n for open files, -v for memory)."
)
"""What to do about an error for which `is_shortage` holds."""


def kind_of(value: object) -> str:
    """Returns what a value is, in words for an error: `None`, `a bool`, `an int`, `the text 'yes'`."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    article = "an" if name[:1].lower() in "aeiou" else "a"
    return f"{article} {name}"
