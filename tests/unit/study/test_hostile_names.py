"""Studies whose names a stranger wrote: none becomes a path, a command, a terminal's escape or a formula."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from cobra_kit.cli import main
from cobra_kit.errors import CobraError
from cobra_kit.study.reading.provenance import commands, facts
from cobra_kit.study.reading.stored_study import read_study
from cobra_kit.trials import NAME, StorageError, TrialQueue, TrialSpec
from cobra_kit.trials.storage import open_storage

EVIL = "p\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202e\x7f\u200b\u2028z"
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
NAMES = [EVIL, "../../x", "x" * 400, "/etc/passwd", "a\nb", "", "\ud800"]


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    content.pop("sha256", None)
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["study", "arms", "reference"])
def test_a_manifest_with_such_a_name_is_refused(key: str, name: str, study: Path) -> None:
    edit(study / "manifest.json", lambda manifest: manifest.update({key: ["mlp", name] if key == "arms" else name}))
    with pytest.raises(CobraError, match="damaged") as caught:
        read_study(study)
    assert "manifest.json" in str(caught.value)
    assert HIDDEN.search(str(caught.value)) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_of_such_a_name_is_refused(name: str, study: Path) -> None:
    def change(summary: dict[str, Any]) -> None:
        summary["test"][name] = summary["test"].pop("presence")

    edit(study / "runs" / "mlp-s7" / "scores.json", change)
    assert main(["report", str(study), "--format", "csv"]) == 1


@pytest.mark.parametrize("form", ["html", "csv", "latex", "markdown", "text"])
def test_no_exit_lets_control_characters_through(form: str, study: Path, tmp_path: Path) -> None:
    for run in ("mlp-s7", "linear-s7"):

        def change(summary: dict[str, Any]) -> None:
            for entry in summary["test"].values():
                entry["rule"] = f"={EVIL}"

        edit(study / "runs" / run / "scores.json", change)
        edit(study / "runs" / run / "manifest.json", lambda manifest: manifest["sessions"][0].update(host=EVIL))
    out = tmp_path / "out"
    assert main(["report", str(study), "--format", form, "--out", str(out)]) == 0
    text = out.read_text()
    assert HIDDEN.search(text) is None
    if form == "csv":
        assert "'=p" in text
        assert ",=p" not in text


@pytest.mark.parametrize(
    ("packages", "line"),
    [
        ({"torch": "2.9.0+cpu", "numpy": "2.0"}, "pip install torch==2.9.0+cpu numpy==2.0"),
        ({"numpy; rm -rf ~": "1"}, None),
        ({"--index-url=http://evil": "1"}, None),
        ({"numpy": "1 --extra-index-url http://evil"}, None),
        ({"numpy": "$(id)"}, None),
        ({"a @ https://evil/x.zip": "1"}, None),
        ({"numpy": "2.0", "git+https://evil": "1"}, None),
    ],
)
def test_packages_of_a_poisoned_manifest_are_no_command(
    packages: dict[str, str], line: str | None, study: Path
) -> None:
    for run in ("mlp-s7", "linear-s7"):
        edit(study / "runs" / run / "manifest.json", lambda manifest: manifest["sessions"][0].update(packages=packages))
    lines = [command.line for command in commands(read_study(study))]
    assert [text for text in lines if text.startswith("pip")] == ([] if line is None else [line])


def test_the_page_names_what_chose_kernels_and_instructions(study: Path, tmp_path: Path) -> None:
    assert "COBRA_KIT_MAMBA_ISA" not in dict(facts(read_study(study))).get("environment", "")
    environment = {"COBRA_KIT_MAMBA_ISA": "avx2", "MKL_CBWR": "<b>\x1b[2J"}
    edit(
        study / "runs" / "mlp-s7" / "manifest.json",
        lambda manifest: manifest["sessions"][0].update(environment=environment),
    )
    assert dict(facts(read_study(study)))["environment"].startswith("COBRA_KIT_MAMBA_ISA=avx2 MKL_CBWR=")
    assert main(["report", str(study), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "COBRA_KIT_MAMBA_ISA=avx2" in page
    assert "<b>" not in page
    assert "\x1b" not in page


def test_a_study_named_like_an_option_is_no_command(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study.parent)
    (study.parent / "--plugin=evil.py").write_text((study.parent / "study" / "recipe.yaml").read_text())
    edit(study / "manifest.json", lambda manifest: manifest.update(study="--plugin=evil.py"))
    assert not [command.line for command in commands(read_study(study)) if "--plugin" in command.line]


@pytest.fixture
def record(study: Path) -> Callable[..., None]:
    """Records a trial in the study's journal as somebody else would."""

    def add(name: object, **attributes: object) -> None:
        storage = open_storage(None, study)
        recorded = optuna.create_study(storage=storage, study_name="cobra-kit", load_if_exists=True)
        recorded.add_trial(
            optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, user_attrs={NAME: name, **attributes})
        )

    return add


@pytest.mark.parametrize("name", [name for name in NAMES if name != "\ud800"] + [["a"], 5, None, "-x"])
@pytest.mark.parametrize("key", [NAME, "cobra_kit:run"])
def test_a_trial_of_such_a_name_is_refused(
    key: str, name: object, study: Path, record: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    record(**{"name": name} if key == NAME else {"name": "mlp-s7", key: name})
    assert main(["status", str(study)]) == 1
    printed = capsys.readouterr().err
    assert "trials.journal" in printed
    assert "internal" not in printed
    assert HIDDEN.search(printed) is None
    (study / "trials.journal").unlink()  # as the error says
    record("mlp-s7")
    record("linear-s7")
    assert main(["status", str(study)]) == 0


def test_no_worker_takes_a_trial_of_such_a_name(study: Path, record: Callable[..., None]) -> None:
    record("../../x")
    recorded = optuna.load_study(study_name="cobra-kit", storage=open_storage(None, study))
    with pytest.raises(StorageError, match="none of ours"):
        TrialQueue(recorded, study).provide([TrialSpec("mlp-s7")])


def test_what_a_journal_says_is_printed_and_not_obeyed(
    study: Path, record: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    record("mlp-s7", **{"cobra_kit:lease": {"owner": {"host": EVIL, "boot": "b", "process": 1, "started": "1"}}})
    record("linear-s7", **{"cobra_kit:error": EVIL, "cobra_kit:reason": EVIL})
    main(["status", str(study), "--json"])
    out = capsys.readouterr().out
    assert HIDDEN.search(out) is None


@pytest.mark.parametrize("name", ["../../x", "-x", "a\tb", "x" * 400])
def test_a_profile_of_such_a_name_is_refused(name: str, whole: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text((whole.parent / "miniature.yaml").read_text() + f"\nprofiles:\n  {json.dumps(name)}: {{}}\n")
    from cobra_kit.errors import RecipeError
    from cobra_kit.recipe import load_recipe

    with pytest.raises(RecipeError, match="a profile's name names a folder"):
        load_recipe(recipe, profile=name)


def test_a_recipe_file_named_like_the_folder_above_makes_no_study(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "...yaml").write_text((whole.parent / "miniature.yaml").read_text())
    assert main(["run", "...yaml"]) == 1
    assert "Rename the recipe's file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["...yaml"]
