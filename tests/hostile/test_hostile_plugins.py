"""Plugins that misbehave: the host goes on without them, says which, and what they print or change harms nobody."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from child_commands import until
from hostile_cases import Ended, run_hostile
from toy_recipe import RECIPE

from cobra_kit import _plugins
from cobra_kit.cli import main

TOY = Path(__file__).parents[1] / "toy_plugin.py"
HOOK = "from cobra_kit.plugin import *\nfrom cobra_kit.plugin import hookimpl\n"
SPEC = "ProjectorSpec(name='x', summary='s', target='m:C', config='m:D')"
NO_SUMMARY = SPEC.replace("'s'", "None")
GOOD = f"yield {SPEC}"
LONG_NAME = SPEC.replace("'x'", "'x' * 1_000_000")


def hook(*lines: str) -> str:
    """Returns a plugin whose hook for projectors has these lines."""
    return f"{HOOK}@hookimpl\ndef cobra_projectors():\n" + "".join(f"    {line}\n" for line in lines)


def raising(declared: str) -> str:
    """Returns a plugin that raises an exception of its own class."""
    return f"class Own(Exception):\n{declared}\nraise Own('x')\n"


BROKEN = {
    "base_exception": ("raise BaseException('lost')", "BaseException: lost"),
    "keyboard_interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "keyboard_interrupt_in_hook": (hook("raise KeyboardInterrupt"), "KeyboardInterrupt"),
    "system_exit": ("import sys; sys.exit(0)", "it called exit(0) while being imported"),
    "site_exit": ("exit(0)", "it called exit(0) while being imported"),
    "hard_exit": ("import os; os._exit(0)", "it called os._exit(0)"),
    "hard_exit_in_hook": (hook("import os; os._exit(3)"), "it called os._exit(3)"),
    "abort": ("import os; os.abort()", "it called os.abort()"),
    "exit_code_raises": (
        "class C:\n  def __repr__(self): raise KeyboardInterrupt\nraise SystemExit(C())",
        "it called exit(something that has no text) while being imported",
    ),
    "generator_exit": ("raise GeneratorExit", "GeneratorExit"),
    "cancelled": ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
    "group": ("raise BaseExceptionGroup('all', [KeyboardInterrupt(), SystemExit(0)])", "BaseExceptionGroup: all"),
    "text_raises": (raising("  def __str__(self): raise ValueError"), "Own"),
    "text_interrupts": (raising("  def __str__(self): raise KeyboardInterrupt"), "Own"),
    "text_exits": (raising("  def __str__(self): raise SystemExit(0)"), "Own"),
    "text_is_none": (raising("  def __str__(self): return None"), "Own"),
    "class_raises": (raising("  @property\n  def __class__(self): raise ValueError"), "Own: x"),
    "escapes": (r"raise ValueError('\x1b[31mred\x1b]0;title\x07 \u202e' + 'a' * 100_000)", "ValueError: red a"),
    "our_error_whose_message_raises": (
        "from cobra_kit.errors import CobraError\nclass Own(CobraError):\n"
        "  message = property(lambda self: 1 / 0, lambda self, value: None)\nraise Own('x')",
        "Own",
    ),
    "recursion": ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
    "summary_none": (hook(f"yield {NO_SUMMARY}"), "summary of a component must be a text, not None"),
    "summary_none_later": (
        hook(f"spec = {SPEC}", "object.__setattr__(spec, 'summary', None)", "yield spec"),
        "summary of a component must be a text, not None",
    ),
    "name_is_a_path_later": (
        hook(f"spec = {SPEC}", "object.__setattr__(spec, 'name', '../../x')", "yield spec"),
        "bad component name '../../x'",
    ),
    "name_of_a_million": (hook(f"yield {LONG_NAME}"), "name of a component has 1,000,000"),
    "requires_never_end": (
        hook(f"import itertools; yield {SPEC[:-1]}, requires=itertools.repeat('a'))"),
        "requires of 'x' must be a tuple of requirements, not a repeat",
    ),
    "endless_specs": (hook(f"while True: yield {SPEC}"), "more than 1,000 ProjectorSpec, or never ends"),
    "endless_diagnostics": (
        f"{HOOK}@hookimpl\ndef cobra_diagnostics():\n  while True: yield DiagnosticSpec(name='x', target='m:f')\n",
        "more than 1,000 DiagnosticSpec, or never ends",
    ),
    "iterator_raises": (
        hook("class I:", "  def __iter__(self): raise BaseException('lost')", "return I()"),
        "BaseException: lost",
    ),
    "module_interrupts": ("def __getattr__(name): raise KeyboardInterrupt", "KeyboardInterrupt"),
    "hook_is_a_coroutine": (f"{HOOK}@hookimpl\nasync def cobra_projectors(): return []", "returned a coroutine"),
}
"""Source, and what is said of it. All are loaded by one process, so that they could disturb each other."""

DISTURBING = {
    "file_is_no_path": f"__file__ = 5\n{hook(GOOD)}",
    "closes_streams": f"import sys; sys.stdout.close(); sys.stdout = None\n{hook(GOOD)}",
    "closes_descriptors": f"import os; os.close(1); os.close(2)\n{hook(GOOD)}",
    "changes_folder": f"import os; os.chdir('/')\n{hook(GOOD)}",
    "lowers_recursion": f"import sys; sys.setrecursionlimit(60)\n{hook(GOOD)}",
    "ignores_signals": f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{hook(GOOD)}",
    "prints": "import os, sys\nprint('noise')\nos.write(1, b'noise')\nos.system('echo noise')\n"
    "sys.__stdout__.write('noise')\n" + hook("print('noise')", GOOD),
    "prints_in_thread": "import threading, time\n"
    "def talk():\n  while True: print('noise', flush=True); time.sleep(0.01)\n"
    f"threading.Thread(target=talk, daemon=True).start()\n{hook(GOOD)}",
    "prints_at_exit": f"import atexit; atexit.register(print, 'noise')\n{hook(GOOD)}",
    "forks": f"import os; os.fork()\n{hook(GOOD)}",
}
"""Plugins that load, and change what all others use."""


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, dict[str, Any]]:
    """What `plugins list --json` says with all of them, and a sound one at the end."""
    folder = tmp_path_factory.mktemp("loaded") / "here"
    folder.mkdir()
    arguments: list[str] = []
    for name, source in {**{name: source for name, (source, _) in BROKEN.items()}, **DISTURBING}.items():
        (folder / f"{name}.py").write_text(source)
        arguments += ["--plugin", f"{name}.py"]
    ended = run_hostile(folder, *arguments, "--plugin", str(TOY), "plugins", "list", "--json")
    assert ended.status == 0, ended.err
    return ended, json.loads(ended.out)


@pytest.mark.parametrize("name", BROKEN)
def test_a_plugin_that_fails_is_left_out_and_named(name: str, listed: tuple[Ended, dict[str, Any]]) -> None:
    ended, listing = listed
    record = next(record for record in listing["plugins"] if record["id"] == name.replace("_", "-"))
    assert record["status"] == "broken"
    assert BROKEN[name][1] in record["error"]
    assert len(record["error"]) < 1100
    assert f"warning: plugin {record['id']} ({name}.py) is broken: " in ended.err


@pytest.mark.parametrize("name", DISTURBING)
def test_a_plugin_that_disturbs_is_loaded_and_changes_nothing(name: str, listed: tuple[Ended, dict[str, Any]]) -> None:
    ended, listing = listed
    record = next(record for record in listing["plugins"] if record["id"] == name.replace("_", "-"))
    assert record["status"] == "ok"
    assert "noise" not in ended.out


def test_the_others_are_as_usable_as_ever(listed: tuple[Ended, dict[str, Any]]) -> None:
    names = {component["name"] for component in listed[1]["components"]}
    assert {"toy-plugin/linear", "toy-plugin/decay", "mlp/gelu", "mamba/tiny"} <= names


ANNOUNCED = {
    "sleeps": "import time; time.sleep(1000)",
    "spins": "while True: pass",
    "holds_the_lock": "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
    "swallows": "import time\nwhile True:\n  try: time.sleep(1000)\n  except BaseException: pass",
}


@pytest.mark.parametrize("name", ANNOUNCED)
def test_a_plugin_that_hangs_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / f"{name}.py").write_text(ANNOUNCED[name])
    ended = run_hostile(tmp_path / "here", "--plugin", f"{name}.py", "plugins", "list", kill_after=8)
    assert ended.status is None
    assert f"{name}.py" in ended.err


def test_ending_the_process_in_a_part_is_told_and_no_success(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    late = "\nimport os\nToyEncoder.max_shape = classmethod(lambda cls, config: os._exit(0))\n"
    (tmp_path / "here" / "toy_plugin.py").write_text(TOY.read_text() + late)
    (tmp_path / "here" / "recipe.yaml").write_text(RECIPE)
    ended = run_hostile(tmp_path / "here", "--plugin", "toy_plugin.py", "recipes", "validate", "recipe.yaml")
    assert ended.status == 1
    assert re.search(r"toy_plugin\.py:\d+: this line ended the process, by os\._exit\(0\)", ended.err)


def test_a_crash_names_the_plugins_file(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "crashes.py").write_text("import ctypes; ctypes.string_at(0)")
    ended = run_hostile(tmp_path / "here", "--plugin", "crashes.py", "plugins", "list")
    assert ended.status == -signal.SIGSEGV
    assert "crashes.py" in ended.err


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_names_the_plugin_and_a_second_one_ends_it(presses: int, tmp_path: Path) -> None:
    # Each turn of the loop says that it began, so that no press comes before the one before it was noticed.
    more = "raise" if presses == 1 else "turn += 1"
    (tmp_path / "stuck.py").write_text(
        "import time\nturn = 1\nwhile True:\n"
        f"  try:\n    open(f'begun{{turn}}', 'w').close()\n    time.sleep(1000)\n  except BaseException: {more}"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "cobra_kit", "--plugin", "stuck.py", "plugins", "list"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        for press in range(presses):
            until(lambda turn=press + 1: (tmp_path / f"begun{turn}").exists())
            time.sleep(0.3)  # until it sleeps
            process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.wait(200) == 130
        assert "interrupted while plugin stuck (stuck.py) was being imported" in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


VALIDATORS = {
    "interrupts": "raise KeyboardInterrupt",
    "exits": "exit(0)",
    "base_exception": "raise BaseException('lost')",
    "text_raises": "raise type('Own', (ValueError,), {'__str__': lambda self: exit(0)})",
    "returns_nothing": "return None",
    "escapes": r"raise ValueError('\x1b[31m')",
}


def spoilt_config(folder: Path, body: str, kind: str = "after") -> list[str]:
    """Writes a toy plugin whose projector's config has a hostile validator, and a recipe; returns `--plugin` and it."""
    source = TOY.read_text().replace("from pydantic import Field", "from pydantic import Field, model_validator")
    validator = f"    @model_validator(mode={kind!r})\n    def check(self):\n        {body}\n"
    own = f"\n\nclass Spoilt(ToyProjectorConfig):\n{validator}"
    (folder / "toy_plugin.py").write_text(f"{source}{own}\n\nToyProjectorConfig = Spoilt\n")
    (folder / "recipe.yaml").write_text(RECIPE)
    return ["--plugin", str(folder / "toy_plugin.py")]


@pytest.mark.parametrize("name", VALIDATORS)
def test_a_validator_is_named_with_the_recipes_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = spoilt_config(tmp_path, VALIDATORS[name])
    assert main([*plugin, "recipes", "validate", str(tmp_path / "recipe.yaml"), "--json"]) == 1
    output = capsys.readouterr()
    assert output.out == "" or json.loads(output.out)
    assert re.search(r"recipe\.yaml:6: model\.projector", output.err)
    assert "internal error" not in output.err
    assert "\x1b" not in output.err
    assert "'toy-plugin/linear'" in output.err or "toy-plugin/linear" in output.err


DIAGNOSTICS = {
    "hangs": ("import time; time.sleep(1000)", "has not answered for 1 s"),
    "interrupts": ("raise KeyboardInterrupt", "failed: KeyboardInterrupt"),
    "exits": ("exit(0)", "failed: it called exit(0)"),
    "hard_exit": ("import os; os._exit(0)", "failed: it called os._exit(0)"),
    "endless": ("while True: yield Diagnosis('a', 'b')", "more than 100 diagnoses, or never ends"),
    "no_text": ("yield Diagnosis(None, 5)", "a Diagnosis whose what is None"),
}


@pytest.mark.parametrize("name", DIAGNOSTICS)
def test_a_diagnostic_does_not_stop_the_doctor(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cobra_kit.doctor import plugins

    monkeypatch.setattr(plugins, "DIAGNOSTIC_SECONDS", 1 if name == "hangs" else 100)
    (tmp_path / "ailing.py").write_text(
        "from cobra_kit.plugin import Diagnosis, DiagnosticSpec, hookimpl\n"
        "@hookimpl\ndef cobra_diagnostics():\n    yield DiagnosticSpec(name='look', target=f'{__name__}:look')\n"
        f"def look():\n    {DIAGNOSTICS[name][0]}\n"
    )
    _plugins.configure(files=[tmp_path / "ailing.py"], enabled=False)
    named = plugins.diagnoses(_plugins.default_registry())
    assert [(item.plugin, item.diagnosis.what, item.diagnosis.broken) for item in named] == [("ailing", "look", True)]
    assert DIAGNOSTICS[name][1] in named[0].diagnosis.found


def test_a_diagnostic_whose_import_hangs_leaves_the_doctor_its_output(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "stuck_part.py").write_text("import time; time.sleep(1000)")
    (tmp_path / "here" / "stuck.py").write_text(
        "from cobra_kit.plugin import DiagnosticSpec, hookimpl\n"
        "@hookimpl\ndef cobra_diagnostics():\n    yield DiagnosticSpec(name='look', target='stuck_part:look')\n"
    )
    plugin = ("--plugin", "stuck.py", "doctor", "--backbone", "transformer/tiny")
    ended = run_hostile(tmp_path / "here", *plugin, environment={"PYTHONPATH": "."})
    assert ended.status == 1
    assert "stuck_part:look of plugin stuck (stuck.py)" in ended.err
    assert "stuck_part:look has not answered for 10 s, and is left alone" in " ".join(ended.out.split())
