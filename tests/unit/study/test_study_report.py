"""A study's report from its folder: finished, begun, damaged, with data and without."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import miniature
import pytest
from fake_study import HOSTILE, without_digests, write_study
from PIL import Image

from cobra_kit.errors import CobraError
from cobra_kit.files import without_seal
from cobra_kit.recipe import load_recipe
from cobra_kit.report import ReportView, table_to_json
from cobra_kit.report.html import render_page
from cobra_kit.study.plan.study_plan import make_plan
from cobra_kit.study.reading.report import report_view, study_state
from cobra_kit.study.reading.report_images import embedded
from cobra_kit.study.reading.results import study_table
from cobra_kit.study.reading.stored_study import read_study

SEEDS = miniature.ABLATION + "  seeds: [7, 8]\n"


def view_of(path: Path) -> ReportView:
    return report_view(study_state(path))


def test_a_finished_study_is_read_without_its_recipe_file(whole: Path) -> None:
    state = study_state(whole)
    plan = make_plan(load_recipe(whole.parent / "miniature.yaml"))
    assert state.missing == ()
    assert state.table is not None
    assert table_to_json(state.table) == table_to_json(study_table(plan, state.study.folder))


def test_disagreements_have_their_questions_and_images(whole: Path) -> None:
    view = view_of(whole)
    assert view.images_missing == ""
    examples = {example.benchmark: example for example in view.disagreements}
    assert set(examples) == {"presence", "attribute", "count", "spatial", "reading", "boxes"}
    presence = examples["presence"]
    assert (presence.reference, presence.other, presence.seed) == ("mlp", "linear", 7)
    # Of four questions the first arm misses the first, the second the last.
    assert abs(presence.won - presence.questions / 4) <= 1
    assert abs(presence.lost - presence.questions / 4) <= 1
    sample = [question for example in view.disagreements for question in example.sample]
    assert {(q.replies[0].score, q.replies[1].score) for q in sample} == {(0.0, 1.0), (1.0, 0.0)}
    assert all(question.prompt and question.image for question in sample)
    assert all("?" in question.prompt for question in presence.sample)


def test_the_page_is_the_same_each_time(whole: Path) -> None:
    assert render_page(view_of(whole)) == render_page(view_of(whole))


def test_the_commands_run_the_study_again(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [command.line for command in view_of(whole).commands]
    assert lines == [
        "pip install torch==2.15.0",
        f"cobra-kit run {whole}/recipe.yaml --out {whole}-again",
        f"cobra-kit report {whole}",
    ]
    stored, plan = read_study(whole), make_plan(load_recipe(whole / "recipe.yaml"))
    assert json.loads(json.dumps(plan.identity())) == stored.identity
    # Where the recipe of that name can be found and says the same, its name is enough.
    monkeypatch.chdir(whole.parent)
    (whole.parent / "miniature").write_text((whole.parent / "miniature.yaml").read_text(), encoding="utf-8")
    assert f"cobra-kit run miniature --out {whole}" in [command.line for command in view_of(whole).commands]
    changed = (whole.parent / "miniature.yaml").read_text().replace("steps: 20", "steps: 21")
    (whole.parent / "miniature").write_text(changed, encoding="utf-8")
    purposes = [command.purpose for command in view_of(whole).commands]
    assert any("the recipe named miniature says something else today, in 1 settings" in purpose for purpose in purposes)
    (whole.parent / "miniature").unlink()


@pytest.mark.parametrize(
    ("skip", "arms", "seeds", "missing"),
    [
        (("linear-s8",), ("mlp", "linear"), (7,), ["linear-s8: not started"]),
        (("linear-s7", "linear-s8"), ("mlp",), (7, 8), ["not in the table: linear"]),
        (
            ("mlp-s7", "mlp-s8"),
            ("linear",),
            (7, 8),
            ["mlp-s7: not started", "not in the table: mlp"],
        ),
        (("mlp-s7", "linear-s8"), ("mlp",), (8,), ["not in the table: linear"]),
    ],
)
def test_an_unfinished_study_has_a_table_of_what_is_there(
    tmp_path: Path, skip: tuple[str, ...], arms: tuple[str, ...], seeds: tuple[int, ...], missing: list[str]
) -> None:
    state = study_state(write_study(tmp_path, SEEDS, skip=skip))
    assert state.table is not None
    assert (state.table.arms, state.table.seeds) == (arms, seeds)
    assert set(missing) <= set(state.missing)
    assert "missing" in render_page(report_view(state))


def test_another_arm_stands_in_for_an_unfinished_reference(tmp_path: Path) -> None:
    text = miniature.ABLATION + "    gelu: {model: {projector: {use: ldpv2/plain}}}\n"
    state = study_state(write_study(tmp_path, text, skip=("mlp-s7",)))
    assert state.table is not None
    assert state.table.reference == "linear"
    assert "the reference mlp is not finished; linear stands in for it" in state.missing


def test_a_study_that_has_only_begun_has_a_page_and_no_table(study: Path) -> None:
    for name in ("mlp-s7", "linear-s7"):
        for file in ("scores.json", "training.json"):
            (study / "runs" / name / file).unlink()
    with open(study / "runs" / "mlp-s7" / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"stage": "finetune", "st')  # in the middle of a line
    state = study_state(study)
    assert state.table is None
    assert state.missing[0].startswith("mlp-s7: stopped at step 20: nobody works on it;")
    assert "no run is finished, so there is no table yet" in state.missing
    assert "Loss in finetune" in render_page(report_view(state))


def test_a_trained_run_without_scores_is_said_to_be_so(study: Path) -> None:
    (study / "runs" / "linear-s7" / "scores.json").unlink()
    assert "linear-s7: trained, not scored" in study_state(study).missing


def test_other_data_than_the_runs_gives_no_wrong_images(study: Path) -> None:
    for manifest in study.glob("runs/*/manifest.json"):
        manifest.write_text(json.dumps({"data": "0" * 16, "sessions": []}), encoding="utf-8")
    view = view_of(study)
    assert "the data are not those of this study (0000000000000000 then" in view.images_missing
    assert all(q.image is None and not q.prompt for example in view.disagreements for q in example.sample)
    assert "No pictures: the data are not those" in render_page(view)


def test_plugins_that_are_gone_do_not_matter(study: Path) -> None:
    recipe = without_digests(study) / "recipe.yaml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("siglip/tiny", "gone/tiny"), encoding="utf-8")
    view = view_of(study)
    assert view.images_missing == ""
    assert view.table is not None


def test_data_that_are_gone_leave_all_but_the_images(study: Path) -> None:
    recipe = without_digests(study) / "recipe.yaml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("source: scenes", "source: gone"), encoding="utf-8")
    view = view_of(study)
    assert "no data source named 'gone'" in view.images_missing
    assert view.table is not None
    assert [example.sample[0].image for example in view.disagreements] == [None] * 6


def test_hostile_answers_reach_the_page_as_text(tmp_path: Path) -> None:
    page = render_page(view_of(write_study(tmp_path, hostile=True)))
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(1)" in page
    assert HOSTILE not in page


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: shutil.rmtree(path / "runs") or (path / "manifest.json").unlink(), "no study here"),
        (lambda path: (path / "manifest.json").write_text("{"), "what describes the study is damaged"),
        (lambda path: (path / "manifest.json").write_text('{"study": "x"}'), "profile: field required"),
        (lambda path: (path / "recipe.yaml").write_text("a: [1"), "the study's recipe is damaged"),
        (lambda path: (path / "recipe.yaml").unlink(), "the study's recipe is missing"),
        (lambda path: (path / "runs/mlp-s7/scores.json").write_text("{"), "damaged"),
        (lambda path: (path / "runs/mlp-s7/scores/test/count.jsonl").unlink(), "no such scores"),
    ],
)
def test_what_is_damaged_is_named(study: Path, spoil: object, message: str) -> None:
    spoil(study)  # type: ignore[operator]
    with pytest.raises(CobraError) as caught:
        study_state(study)
    assert message in str(caught.value)
    assert str(study) in str(caught.value)


def test_a_folder_of_studies_and_a_run_are_not_studies(whole: Path) -> None:
    with pytest.raises(CobraError, match=f"Studies in it: {whole}"):
        study_state(whole.parent)
    with pytest.raises(CobraError, match=f"This is a run. Its study is {whole}"):
        study_state(whole / "runs" / "mlp-s7")


@pytest.mark.parametrize(
    ("size", "shown", "kind", "pixelated"),
    [
        ((64, 64), (128, 128), "png", True),
        ((100, 50), (100, 50), "png", False),
        ((640, 480), (136, 102), "jpeg", False),
        ((2000, 3), (136, 1), "jpeg", False),
    ],
)
def test_images_are_small(size: tuple[int, int], shown: tuple[int, int], kind: str, pixelated: bool) -> None:
    image = embedded(Image.effect_noise(size, 80))
    assert (image.width, image.height, image.pixelated) == (*shown, pixelated)
    assert image.data.startswith(f"data:image/{kind};base64,")
    assert len(image.data) < 120_000


def test_the_example_of_the_docs(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[3] / "docs" / "reports.md"
    [example] = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(example.replace("studies/ablation_projector-laptop", str(whole)), {})
    assert "<h2>Results</h2>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_no_name_in_the_scores_leads_out_of_the_run(study: Path, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    diary.write_text("dear diary, without an end")
    file = study / "runs" / "mlp-s7" / "scores.json"
    scores = json.loads(file.read_text())
    for name in (str(diary), "../../../diary", "scores/diary"):
        scores["test"]["count"]["file"] = name
        file.write_text(json.dumps(without_seal(scores)))
        (study / "runs" / "mlp-s7" / "scores" / "diary").unlink(missing_ok=True)
        (study / "runs" / "mlp-s7" / "scores" / "diary").symlink_to(diary)
        with pytest.raises(CobraError, match=r"scores\.json: names '.*' as a file, which (is not|leaves|leads)"):
            study_state(study)
    assert diary.read_text() == "dear diary, without an end"


def test_reading_a_study_changes_no_byte(study: Path) -> None:
    without_digests(study)  # with them, torn scores are damaged scores
    for file in study.rglob("*.jsonl"):
        file.write_bytes(file.read_bytes() + b'{"torn')
    before = {file: file.read_bytes() for file in study.rglob("*") if file.is_file()}
    view_of(study)
    assert {file: file.read_bytes() for file in study.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("manifest.json", {"arms": ["../../x"]}, r"manifest\.json: .* \(arms\.0: string should match"),
        ("manifest.json", {"arms": ["a" * 400]}, r"manifest\.json: .* \(arms\.0: string should have at most 200"),
        ("manifest.json", {"arms": "mlp"}, r"manifest\.json: .* \(arms: input should be a valid list"),
        ("manifest.json", {"seeds": [1.5]}, r"manifest\.json: .* \(seeds\.0: input should be a valid integer"),
        ("manifest.json", {"seeds": list(range(600_000))}, r"manifest\.json: .* \(its arms or seeds"),
        ("manifest.json", {"reference": "x"}, r"manifest\.json: .* \(its arms or seeds"),
        ("runs/mlp-s7/manifest.json", {"sessions": 3}, None),
        (
            "runs/mlp-s7/training.json",
            {"seconds": "x"},
            r"training\.json: .* \(seconds: input should be a valid number",
        ),
        ("runs/mlp-s7/training.json", {"tokens": -1}, r"training\.json: .* \(tokens: input should be greater"),
        ("runs/mlp-s7/scores.json", {"test": []}, r"scores\.json: .* \(test: input should be a valid dictionary"),
        ("runs/mlp-s7/scores.json", {"test": {"count": {}}}, r"scores\.json: .* \(test\.count\.rule: field required"),
    ],
)
def test_values_of_other_types_are_named(study: Path, name: str, change: dict[str, object], message: str) -> None:
    file = study / name
    file.write_text(json.dumps(without_seal({**json.loads(file.read_text()), **change})))
    if message is None:
        view_of(study)  # the page stands without it
        return
    with pytest.raises(CobraError, match=message):
        view_of(study)


def test_missing_questions_are_noticed(study: Path) -> None:
    file = study / "runs" / "mlp-s7" / "scores" / "test" / "count.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-2]))
    with pytest.raises(CobraError, match=r"count\.jsonl: holds \d+ "):
        study_state(study)
