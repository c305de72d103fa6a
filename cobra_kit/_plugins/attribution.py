"""Says whose code an exception came from: the component, its package, and the author's file and line.

An exception that nobody meant, such as an IndexError in a projector's `forward`, comes with a traceback in which the
plugin's own frames stand. They are read after the fact, so that a call into a component costs no more than a `try`,
and what a component calls in turn is covered too.
"""

from __future__ import annotations

import inspect
import opcode
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar, cast

from cobra_kit._plugins.component import INTERFACES
from cobra_kit._plugins.contain import ProcessEnded, in_signal_handler
from cobra_kit._plugins.declared import Declared
from cobra_kit._plugins.quiet import PrintsToStderr
from cobra_kit._plugins.registry import default_registry
from cobra_kit._plugins.watch import begin, end
from cobra_kit._plugins.words import message_of, one_line
from cobra_kit.errors import ArgumentError, CobraError, PluginError, is_out_of_memory, text_of
from cobra_kit.plugin import Kind

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

HINT = "That is the plugin's own code, or what it was given; its author can mend it."

_COMPONENTS = "cobra_kit.interfaces.components"
"""The module of the four contracts; where nobody has imported it, no component has run."""

_NOT_A_PLUGIN = frozenset({"cobra_kit", "torch", "builtins"})
"""Packages that a spec may name a class of, and that are nobody's plugin."""


def call_component(
    component: Declared | None,
    method: Callable[Parameters, Result],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> Result:
    """Calls a method of a component; whatever goes wrong in it, its signature included, names the component.

    What it prints goes to stderr, and where it takes long it is named there, once.

    Args:
        component: Whose method it is; None where that is not known, and only the traceback tells.
        method: The function or bound method to call.
        args: Positional arguments of that call.
        kwargs: Keyword arguments of that call.

    Raises:
        PluginError: As `attribute` gives it.
    """
    number = begin(lambda: _in_words(component, method))
    try:
        with PrintsToStderr():
            return method(*args, **kwargs)
    except BaseException as error:
        named = attribute(error, () if component is None else (component,), called=method)
        if named is None:
            raise
        raise named from error
    finally:
        end(number)


@contextmanager
def attributed(components: Iterable[Declared] = ()) -> Iterator[None]:
    """Turns what a plugin's code raises within a block, or a decorated function, into an error that names the plugin.

    For stretches in which many calls lead into components, such as a backward pass.

    Args:
        components: The components in use here.

    Raises:
        PluginError: As `attribute` gives it.
    """
    try:
        yield
    except BaseException as error:
        named = attribute(error, components)
        if named is None:
            raise
        raise named from error


def attribute(
    error: BaseException,
    components: Iterable[Declared] = (),
    *,
    called: Callable[..., object] | None = None,
    foreign: bool = False,
) -> PluginError | None:
    """Returns the error that names the plugin whose code raised, or None where none did or it is to pass as it is.

    Errors of ours, exhausted memory, Ctrl-C, a closed pipe and types of the caller's own (hooks may raise them) pass; a
    plugin's own `raise KeyboardInterrupt` does not.

    Args:
        error: The exception that was raised.
        components: Those in use, so that one class behind several names is told apart; looked at before those that
            the installed plugins declare.
        called: The method of the one component that was called, where nothing else can have raised.
        foreign: Types of the caller's own do not pass: there is no caller beside us.
    """
    in_use = list(components)
    try:
        return _attribute(error, in_use, called, foreign=foreign)
    except BaseException:  # looking at it is too much for a plugin's own class of exceptions, or for its names
        if called is None or len(in_use) != 1:
            return None
        return PluginError(f"{in_use[0].title} failed: {one_line(error)}", hint=HINT)


def _attribute(
    error: BaseException, in_use: list[Declared], called: Callable[..., object] | None, *, foreign: bool
) -> PluginError | None:
    declared = _declared()
    roots = {root for component in (*in_use, *declared) for root in _roots(component)}
    traceback = list(_frames(error.__traceback__))
    own = bool(traceback) and _root(traceback[-1][0]) in roots and _raises(error.__traceback__)
    if _passes(error, own=own) or not (foreign or own or _is_library_type(type(error), roots)):
        return None
    cls = type(error)
    frames = [(frame, line) for frame, line in traceback if _root(frame) in roots]
    if issubclass(cls, SystemExit) and (not frames or _is_signals(error, traceback[-1][0])):
        return None
    text = f"it called exit({_code(error)})" if issubclass(cls, SystemExit) else one_line(error)
    if issubclass(cls, ArgumentError):
        text = message_of(error)
    if frames:
        frame, line = frames[-1]
        where: str | None = f"{frame.f_code.co_filename}:{line}"
        return PluginError(
            f"{_owner(frames, in_use, declared)} failed in {frame.f_code.co_qualname}: {text}", where=where, hint=HINT
        )
    if called is None or len(in_use) != 1 or issubclass(cls, ArgumentError):
        return None
    return PluginError(f"{in_use[0].title} failed in {name_of(called)}: {text}", where=place_of(called), hint=HINT)


def _in_words(component: Declared | None, method: Callable[..., object]) -> str:
    return name_of(method) if component is None else f"{component.title}: {name_of(method)}"


def name_of(method: Callable[..., object]) -> str:
    """Returns what a method, a class's constructor or a callable object is called: `MyProjector.forward`."""
    if inspect.isclass(method):
        return f"{method.__qualname__}.__init__"
    function = _function(method)
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def place_of(method: Callable[..., object]) -> str | None:
    """Returns file and line where a method, a constructor or a callable object's class is written, if that is known."""
    function = inspect.unwrap(_function(method))
    if inspect.isclass(method) and getattr(function, "__module__", None) != method.__module__:
        function = method  # its constructor is somebody else's, such as pydantic's
    try:
        return f"{inspect.getsourcefile(function)}:{inspect.getsourcelines(function)[1]}"
    except (OSError, TypeError):
        return None


def _function(method: Callable[..., object]) -> Callable[..., object]:
    """Returns what an author wrote: a class's `__init__`, a module's `forward`, another object's `__call__`."""
    if inspect.isclass(method):
        return cast("Callable[..., object]", method.__init__)
    if inspect.isroutine(method):
        return method
    written = getattr(method, "forward", None) or getattr(method, "func", None) or type(method).__call__
    return cast("Callable[..., object]", written)


def _passes(error: BaseException, *, own: bool) -> bool:
    """Returns whether an exception is nobody's mistake.

    Args:
        error: The exception that was raised.
        own: Whether a plugin's own line raised it, in so many words.
    """
    cls = type(error)  # not isinstance, which asks the exception itself
    if issubclass(cls, ArgumentError):
        return False  # whoever called with a wrong argument may be a plugin
    if is_out_of_memory(error) or (issubclass(cls, CobraError) and text_of(error)):
        return True
    if own or issubclass(cls, ProcessEnded | CobraError):
        return False
    if issubclass(cls, KeyboardInterrupt | BrokenPipeError | GeneratorExit):
        return True
    return str(cls.__module__).partition(".")[0] in {"cobra_kit", "optuna"}  # they end work in an orderly way


def _raises(traceback: TracebackType | None) -> bool:
    """Returns whether the innermost frame stands at a `raise`, and was not interrupted by a signal or a call."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    return traceback.tb_frame.f_code.co_code[traceback.tb_lasti] == opcode.opmap["RAISE_VARARGS"]


def _is_signals(error: BaseException, innermost: FrameType) -> bool:
    """Returns whether a SystemExit comes from the handler of a signal, which came while the plugin happened to run."""
    return _root(innermost) == "cobra_kit" or in_signal_handler(error)


def _code(error: BaseException) -> str:
    code = getattr(error, "code", None)
    return "" if code is None else repr(code)[:100]


def _is_library_type(cls: type[BaseException], roots: set[str]) -> bool:
    """Returns whether a type comes from Python, a plugin, or an installed package: not from a caller's own code."""
    root = str(cls.__module__).partition(".")[0]
    if root == "cobra_kit" or root in sys.stdlib_module_names or root == "builtins" or root in roots:
        return root != "__main__"
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file


def _declared() -> list[Declared]:
    """Returns what this process's plugins declare, if they were looked for: an error is no time to import."""
    return [*default_registry().declared()] if default_registry.cache_info().currsize else []


def _roots(component: Declared) -> set[str]:
    """Returns the top-level packages of a component's class and config."""
    references = (component.spec.target, component.config_reference)
    return {reference.partition(":")[0].partition(".")[0] for reference in references if reference} - _NOT_A_PLUGIN


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _owner(frames: list[tuple[FrameType, int]], in_use: list[Declared], declared: list[Declared]) -> str:
    """Returns the component whose method ran, else the only one of its package, else the plugin."""
    root = _root(frames[-1][0])
    package = _of_package(in_use, root) or _of_package(declared, root)
    candidates = package
    targets = {item.spec.target for item in package}
    cls = next((cls for frame, _ in reversed(frames) if (cls := _declared_class(frame, targets)) is not None), None)
    if cls is not None:
        target, kind = _reference(cls), _kind(cls)
        candidates = [item for item in package if item.spec.target == target] or [
            item for item in package if item.kind == kind
        ]
    if len(candidates) == 1:
        return candidates[0].title
    return f"plugin {package[0].plugin!r} ({package[0].distribution})"


def _of_package(components: list[Declared], root: str) -> list[Declared]:
    return list({(item.kind, item.qualified): item for item in components if root in _roots(item)}.values())


def _declared_class(frame: FrameType, targets: set[str]) -> type | None:
    """Returns the component class, or the one that a spec names, whose method a frame runs."""
    components = sys.modules.get(_COMPONENTS)
    for name in ("self", "cls"):
        value = frame.f_locals.get(name)
        cls = value if isinstance(value, type) else type(value)
        if _reference(cls) in targets or (components is not None and issubclass(cls, components.Component)):
            return cls
    return None


def _reference(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _kind(cls: type) -> Kind | None:
    components = sys.modules.get(_COMPONENTS)
    if components is None:
        return None
    return next((kind for kind, name in INTERFACES.items() if issubclass(cls, getattr(components, name))), None)
