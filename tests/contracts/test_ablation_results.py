"""docs/results.md says of kept studies what their files say, and takes over no study that the recipe does not make."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import miniature
import pytest
from fake_study import without_digests, write_study

from cobra_kit.errors import CobraError
from cobra_kit.recipe import load_recipe
from cobra_kit.report import AblationTable, Estimate, PaperNote, ScoreDifference, TableRow

DOCS = Path(__file__).parents[2] / "docs"
NAME = "miniature"
TEXT = f"""{miniature.ABLATION}  seeds: [1, 2, 3]
  paper:
    table: v4_table5_ablation
    rows: {{mlp: full, linear: w/ LDPv2}}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def whole(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COBRA_KIT_CACHE", str(cache))
        return write_study(tmp_path_factory.mktemp("whole"), TEXT)


@pytest.fixture
def study(whole: Path, tmp_path: Path) -> Path:
    """A copy of a finished study, to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


@pytest.fixture(autouse=True)
def docs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> None:
    """Makes `docs` importable, with results of its own and one packaged ablation: the miniature."""
    monkeypatch.setenv("COBRA_KIT_CACHE", str(cache))
    monkeypatch.syspath_prepend(str(DOCS))
    import ablation_results

    monkeypatch.setattr(ablation_results, "RESULTS", tmp_path / "results")
    package(monkeypatch, tmp_path, TEXT)


def package(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    import ablation_results

    packaged = folder / "packaged"
    packaged.mkdir(exist_ok=True)
    path = miniature.write(packaged, text)
    monkeypatch.setattr(ablation_results, "builtin_recipes", lambda: {NAME: path})


def take() -> ModuleType:
    import take_results

    return take_results


def test_a_finished_study_is_taken_over_and_shown(study: Path, tmp_path: Path) -> None:
    import ablation_results

    before = ablation_results.page()
    assert "Not run yet: `cobra-kit run miniature`, then `python docs/take_results.py studies/miniature`." in before
    file = take().take(study)
    assert file == tmp_path / "results" / "miniature.json"
    record = json.loads(file.read_text())
    assert "parts" not in record["table"]["rows"][0]
    assert "host" not in file.read_text()
    page = ablation_results.page()
    assert "| ability | mlp (ref) | linear | floor | ceiling |" in page
    assert "| linear - mlp | presence (POPE) |" in page
    assert "| linear - mlp | boxes (RefCOCO) |" in page
    assert "(Cobra-3.5B, Table 5" not in page
    assert "The paper: Cobra-3.5B, Table 5 (arXiv 2403.14520v4, Table 5); mlp is `full`, linear is `w/ LDPv2`." in page
    assert "- `cobra-kit run miniature` on 20" in page
    assert "| difference | ability | points [95 %] | verdict | paper | beside the paper |" in page
    assert "not recorded on the wall; seeds 1, 2, 3; cobra-kit 0." in page
    assert "torch 2.15.0" in page
    assert "changed since" not in page


def test_a_recipe_that_was_changed_since_says_so(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ablation_results

    take().take(study)
    package(monkeypatch, tmp_path, TEXT.replace("steps: 20", "steps: 30"))
    line = "The recipe was changed since: `train.finetune.steps`. These are the results of what it said then."
    assert line in ablation_results.page()


def test_an_unfinished_study_is_refused(tmp_path: Path) -> None:
    study = write_study(tmp_path, TEXT, skip=["linear-s2", "mlp-s3"])
    with pytest.raises(CobraError, match="the study is not finished: linear-s2, mlp-s3") as error:
        take().take(study)
    assert "it goes on where it stopped" in str(error.value)
    assert not (tmp_path / "results").exists()


def test_a_study_with_other_settings_is_refused(tmp_path: Path) -> None:
    study = write_study(tmp_path, TEXT, overrides=["train.finetune.steps=7", "ablation.seeds=[4,5,6]"])
    with pytest.raises(CobraError) as error:
        take().take(study)
    assert "train.finetune.steps is 7 there, 20 in the recipe" in str(error.value)
    assert "ablation.seeds is [4, 5, 6] there, [1, 2, 3] in the recipe" in str(error.value)
    assert "Run it without --set: cobra-kit run miniature --fresh" in str(error.value)


def test_a_study_of_fewer_than_three_seeds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TEXT.replace("[1, 2, 3]", "[1, 2]")
    package(monkeypatch, tmp_path, text)
    with pytest.raises(CobraError, match="2 seeds, and a verdict needs 3 or more") as error:
        take().take(write_study(tmp_path, text))
    assert "Give miniature more seeds" in str(error.value)


def test_a_study_of_another_recipe_or_of_none_is_refused(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ablation_results

    monkeypatch.setattr(ablation_results, "builtin_recipes", dict)
    with pytest.raises(CobraError, match="miniature is no packaged ablation"):
        take().take(study)
    with pytest.raises(CobraError, match="no study here"):
        take().take(tmp_path / "nothing")


def test_a_study_held_to_other_kernels_is_refused(study: Path, tmp_path: Path) -> None:
    study = without_digests(study)
    manifest = study / "runs" / "mlp-s2" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["sessions"][0]["environment"] = {"COBRA_KIT_MAMBA_ISA": "avx2"}
    manifest.write_text(json.dumps(content))
    with pytest.raises(CobraError, match="the study ran with COBRA_KIT_MAMBA_ISA=avx2") as error:
        take().take(study)
    assert "unset these and run it again" in str(error.value)


def test_the_command_prints_what_is_wrong(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["take_results.py", str(study)])
    assert take().main() == 0
    assert "miniature.json written" in capsys.readouterr().out
    shutil.rmtree(study / "runs" / "mlp-s1")
    assert take().main() == 1
    assert "the study is not finished: mlp-s1" in capsys.readouterr().err


def test_results_of_no_packaged_ablation_are_not_passed_over(study: Path) -> None:
    import ablation_results

    file = take().take(study)
    file.rename(file.with_name("gone.json"))
    with pytest.raises(CobraError, match="results of no packaged ablation") as error:
        ablation_results.page()
    assert "Delete it, or name it after its recipe: miniature." in str(error.value)


def test_damaged_results_say_how_to_get_them_again(study: Path, tmp_path: Path) -> None:
    import ablation_results

    file = take().take(study)
    file.write_text(json.dumps({**json.loads(file.read_text()), "form": 9}))
    with pytest.raises(CobraError, match="results of form 9, expected 1"):
        ablation_results.page()
    file.write_text(json.dumps({**json.loads(file.read_text()), "form": 1, "recipe": "other"}))
    with pytest.raises(CobraError, match="results of other under another name"):
        ablation_results.page()
    file.write_text("{")
    with pytest.raises(CobraError, match="damaged results") as error:
        ablation_results.page()
    assert "python docs/take_results.py STUDY" in str(error.value)


def change(value: float, low: float, high: float, p_holm: float = 0.01) -> ScoreDifference:
    return ScoreDifference(value, low, high, p_holm, p_holm, 4.0, 5)


def table(difference: ScoreDifference, published: float | None) -> AblationTable:
    """Returns a table of one comparison, beside the paper's difference on POPE."""
    score = Estimate(50.0, 40.0, 60.0, 3.0)
    row = TableRow(
        "presence", "POPE", "pope/first-token", 9, 9, 50, 100, {"a": score, "b": score}, {"b": difference}, {}
    )
    paper = None
    if published is not None:
        paper = PaperNote("t", "s", "verbatim", "", ("pope",), {"a": "A", "b": "B"}, {}, {"b": {"pope": published}})
    return AblationTable("f", "laptop", "test", "a", ("a", "b"), (1, 2, 3, 4, 5), 0.95, (row,), {}, paper, ())


@pytest.mark.parametrize(
    ("difference", "published", "expected"),
    [
        (change(5, 1, 9), 2.0, "same direction as the paper"),
        (change(-5, -9, -1), -0.1, "same direction as the paper"),
        (change(5, 1, 9), -2.0, "opposite to the paper"),
        (change(5, 1, 9), 0.0, "seen here, and the paper has no difference"),
        (change(5, -1, 9), 2.0, "not to be seen at this size (smallest visible difference 4.0 points)"),
        (
            change(5, 1, 9, p_holm=0.2),
            2.0,
            "not to be seen at this size after Holm's correction (smallest visible difference 4.0 points)",
        ),
        (replace(change(0, 0, 0), detectable=None), 2.0, "not to be seen at this size (the arms never differ)"),
        (change(5, 1, 9), None, "the paper has no row for this"),
    ],
)
def test_each_comparison_has_its_sentence(difference: ScoreDifference, published: float | None, expected: str) -> None:
    import ablation_results

    shown = table(difference, published)
    assert ablation_results.sentence(shown.rows[0], "b", shown) == expected


def test_an_arm_that_the_paper_does_not_have_is_said_to_have_no_row() -> None:
    import ablation_results

    shown = table(change(5, 1, 9), 2.0)
    note = replace(shown.paper, differences={"c": {"pope": 1.0}}) if shown.paper else None
    assert ablation_results.agreement(shown.rows[0], "b", replace(shown, paper=note)) == "no row"


def test_every_packaged_ablation_has_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    import ablation_results

    from cobra_kit.recipe import builtin_recipes

    monkeypatch.setattr(ablation_results, "builtin_recipes", builtin_recipes)
    page = ablation_results.page()
    for name, path in builtin_recipes().items():
        if name.startswith("ablation_"):
            assert f"## {load_recipe(path).title}\n" in page
