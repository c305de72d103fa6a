from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from fake_packages import projector_module, run_python, write_package

from cobra_kit import __version__
from cobra_kit.cli import main


def fail(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_it() -> None:
        raise error

    monkeypatch.setattr("cobra_kit.cli.plugins.default_registry", raise_it)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cobra-kit {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["plugins"]])
def test_a_group_without_a_command_shows_its_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    bare = capsys.readouterr()
    assert main([*arguments, "--help"]) == 0
    assert capsys.readouterr() == bare
    assert bare.out.startswith(" ".join(["Usage: cobra-kit", *arguments, "[OPTIONS] COMMAND"]))
    assert bare.err == ""


USAGE = {
    "plugin list": "error: no such command 'plugin'. Did you mean 'plugins', 'plan'?\n       try: cobra-kit --help\n",
    "plugins lst": "error: no such command 'lst'. Did you mean 'list'?\n       try: cobra-kit plugins --help\n",
    "plugins show": "error: missing argument 'ID'\n       try: cobra-kit plugins show --help\n",
    "plugins list --plugin": "error: option --plugin takes a value\n       try: cobra-kit --help\n",
    "plugins list --kind project": (
        "error: invalid value for '--kind': 'project' is not one of 'vision_encoder', 'projector', 'fusion', "
        "'backbone', 'data_source', 'benchmark', 'scoring_rule', 'tracker', 'pretraining'\n"
        "       try: cobra-kit plugins list --help\n"
    ),
    "plugins list --kind projector --no-load": (
        "error: --kind cannot stand beside --no-load, which lists plugins, not components\n"
        "       try: cobra-kit --help\n"
    ),
}


@pytest.mark.parametrize(("line", "error"), USAGE.items(), ids=USAGE)
def test_a_wrong_command_line_exits_with_2(line: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", error)


def test_a_wrong_option_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list", "--jsn"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no such option: --jsn")
    assert error.endswith("\n       try: cobra-kit plugins list --help\n")


def test_an_error_of_the_user_exits_with_1(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "show", "nothing"]) == 1
    assert capsys.readouterr().err == (
        "error: no plugin or component named 'nothing'\n       cobra-kit plugins list shows all\n"
    )


def test_a_missing_plugin_file_exits_with_1(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list", "--plugin", "nothere.py"]) == 1
    assert capsys.readouterr().err == (
        "error: plugin file nothere.py does not exist\n       --plugin takes one .py file\n"
    )


def test_debug_shows_the_traceback_of_a_users_error(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "show", "nothing", "--debug"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Traceback (most recent call last):\n")
    assert error.endswith("error: no plugin or component named 'nothing'\n       cobra-kit plugins list shows all\n")


def test_an_error_of_ours_has_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fail(RuntimeError("two\nlines"), monkeypatch)
    assert main(["plugins", "list"]) == 70
    assert capsys.readouterr().err == (
        "error: internal error: RuntimeError: two lines\n       run again with --debug for the traceback\n"
    )
    assert main(["--debug", "plugins", "list"]) == 70
    assert "Traceback (most recent call last):" in capsys.readouterr().err


def test_an_error_of_the_machine_is_not_called_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(PermissionError(13, "Permission denied", "recipes/mine.yaml"), monkeypatch)
    assert main(["plugins", "list"]) == 1
    assert capsys.readouterr().err == (
        "error: recipes/mine.yaml: Permission denied\n       run again with --debug for the traceback\n"
    )


def test_a_declined_question_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(typer.Abort(), monkeypatch)
    assert main(["plugins", "list"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_is_no_error(closed: str, tmp_path: Path) -> None:
    code = f"import sys; sys.{closed} = None; from cobra_kit.cli import main; sys.exit(main(['plugins', 'list']))"
    process = run_python("-c", code, cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, "")


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fail(KeyboardInterrupt(), monkeypatch)
    assert main(["plugins", "list"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys, cobra_kit.cli as c; input(); sys.exit(c.main(['plugins', 'list']))"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    process.stdin.write("\n")
    process.stdin.close()
    assert process.stderr is not None
    assert "pipe" not in process.stderr.read().lower()
    process.stderr.close()
    assert process.wait(timeout=600) == 141


def test_output_that_the_terminal_cannot_show(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = projector_module("fake_one").replace("a projector for tests", "größer → kleiner")
    write_package(site, "fake-one", plugins={"one": "fake_one"}, modules={"fake_one": source})
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["plugins", "list"]) == 0
    assert isinstance(stream.buffer, io.BytesIO)
    assert "größer ? kleiner" in stream.buffer.getvalue().decode("latin-1")


def test_python_m_is_the_same_program(tmp_path: Path) -> None:
    entry = "import sys; sys.argv[0] = 'x'; from cobra_kit.cli import main; sys.exit(main())"
    for arguments in (["--help"], ["plugins", "list", "--no-load"], ["plugins", "show"]):
        as_module = run_python("-m", "cobra_kit", *arguments, cwd=tmp_path)
        as_script = run_python("-c", entry, *arguments, cwd=tmp_path)
        assert (as_module.returncode, as_module.stdout, as_module.stderr) == (
            as_script.returncode,
            as_script.stdout,
            as_script.stderr,
        )
        assert "__main__" not in as_module.stdout + as_module.stderr
