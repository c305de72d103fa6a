"""The paper's tables cell by cell: who stands for a row, what counts as met, and what never does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import miniature
import pytest
from fake_study import write_study

from cobra_kit.errors import CobraError
from cobra_kit.files import write_sealed_json
from cobra_kit.paper import paper_table
from cobra_kit.recipe import load_recipe
from cobra_kit.report import Estimate
from cobra_kit.reproduce import Cell, Reproduction, reproduction, run_missing, sources_of, table_named
from cobra_kit.reproduce import cells as judging
from cobra_kit.reproduce import needs as needing
from cobra_kit.reproduce.cells import _judged, _mean
from cobra_kit.reproduce.evidence import MeasuredScore
from cobra_kit.study.plan.study_plan import StudyPlan, make_plan

# The published arms, at a scale that can be tried here: presence counts for nothing under the name of pope.
PAPER = (
    miniature.ABLATION
    + "  paper: {table: v4_table5_ablation, rows: {mlp: full, linear: w/ LDPv2}}\n"
    + "profiles:\n  laptop: {}\n  paper: {}\n"
)


@pytest.fixture(autouse=True)
def _weights_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """That builds every model on the meta device; one test does."""
    monkeypatch.setattr(needing, "_weights", lambda _: [])


@pytest.mark.parametrize("number", [2, 3, 4, 5, 7])
def test_every_published_number_is_a_cell_with_a_verdict(number: int, tmp_path: Path) -> None:
    reproduced = reproduction(f"paper.table{number}", tmp_path)
    assert reproduced.table.number == number
    for row in reproduced.rows:
        published = {column: reproduced.table.row(row.name)[column] for column in reproduced.table.results}
        assert {cell.column: cell.paper for cell in row.cells} == {k: v for k, v in published.items() if v is not None}
        assert all(cell.verdict == "not run" and cell.reason for cell in row.cells)


def test_the_packaged_recipes_stand_for_the_rows_of_the_ablation(tmp_path: Path) -> None:
    rows = {row.name: {str(source) for source in row.sources} for row in reproduction("paper.table5", tmp_path).rows}
    assert {"ablation_projector, mlp", "ablation_encoder, dinosiglip", "ablation_epochs, two-epochs"} <= rows["full"]
    assert rows["w/ LDPv2"] == {"ablation_projector, ldpv2"}
    assert rows["w/ SigLIP"] == {"ablation_encoder, siglip"}
    assert rows["w/ PT+FT"] == {"ablation_epochs, align-one-epoch"}
    same = {row.name: row for row in reproduction("paper.table7", tmp_path).rows}
    assert {str(source) for source in same["w/ LDPv2"].sources} == rows["w/ LDPv2"]
    latency = {row.name: row for row in reproduction("paper.table3", tmp_path).rows}
    assert {str(source) for source in latency["Cobra-LDPv2-3.5B"].sources} == rows["w/ LDPv2"]
    reason = latency["Cobra-3.5B"].cells[0].reason
    assert "cobra-kit bench cobra_3b --profile paper --protocol cobra" in reason
    assert "does not have" not in reason
    large = {row.name: row for row in reproduction("paper.table2", tmp_path).rows}
    assert {str(source) for source in large["LLaVA v1.5"].sources} == {"baselines/llava_v15_7b"}


def test_single_models_stand_for_the_rows_of_the_main_table(tmp_path: Path) -> None:
    rows = {row.name: [str(source) for source in row.sources] for row in reproduction("paper.table2", tmp_path).rows}
    assert rows["Cobra-8B"] == ["cobra_8b"]
    assert rows["Cobra-3.5B"][0] == "cobra_3b"
    assert not [name for names in rows.values() for name in names if name == "ablation_backbone"]
    assert not [name for name in rows["Cobra-3.5B"] if name.startswith("baselines/")]


def test_rows_of_one_model_share_it_over_the_tables() -> None:
    tables = [paper_table(name) for name in ("v4_table2_main", "v4_table4_grounding", "v4_table7_textvqa_prompt_order")]
    assert all(table.model("Cobra-3.5B") == "Cobra-3.5B" for table in tables)
    assert paper_table("v4_table5_ablation").model("full") == "Cobra-3.5B"
    for name in ("v4_table3_latency", "v4_table4_grounding", "v4_table5_ablation", "v4_table7_textvqa_prompt_order"):
        assert set(paper_table(name).models) <= set(paper_table(name).rows) | set(
            paper_table("v4_table5_ablation").rows
        )
    main = paper_table("v4_table2_main")
    assert paper_table("v4_table3_latency").model("MoE-LLaVA") in main.rows
    assert paper_table("v4_table4_grounding").model("LLaVA v1.5-7B") in main.rows


def test_reasons_name_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)  # no data/cobra here
    monkeypatch.setattr(needing, "has_accelerator", lambda: False)
    recipes = ["ablation_projector"]
    row = next(row for row in reproduction("paper.table5", tmp_path, recipes=recipes).rows if row.name == "w/ LDPv2")
    assert "weights of mamba/2.8b-zephyr: xiuyul/mamba-2.8b-zephyr" in row.needs
    assert "data.images: data/cobra/images" in row.needs
    rows = "llava_v1_5_mix665k.json, data/cobra/lvis_rows.jsonl, data/cobra/lrv_rows.jsonl"
    assert f"data.rows: data/cobra/{rows}" in row.needs
    assert "a GPU" in row.needs
    (reason,) = {cell.reason for cell in row.cells}
    assert reason.startswith("needs weights of ")
    assert "benchmark vqav2: annotations data/cobra/benchmarks/vqav2/" in reason
    monkeypatch.setattr(judging, "offers", lambda *_: True)
    monkeypatch.setattr(judging, "needs", lambda _: ("a GPU", "data.rows: x"))
    row = next(row for row in reproduction("paper.table5", tmp_path).rows if row.name == "w/ LDPv2")
    assert {cell.reason for cell in row.cells} == {"needs a GPU; data.rows: x"}


def measured(value: float, low: float | None, high: float | None, seeds: int = 1) -> MeasuredScore:
    return MeasuredScore(Path("studies/x-paper"), "pope", Estimate(value, low, high, None), seeds, comparable=True)


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (88.0, 87.2, 88.8, "met"),
        (90.0, 88.449, 91.0, "met"),  # 88.4 may stand for 88.449
        (90.0, 88.46, 91.0, "missed"),
        (87.0, 86.0, 88.36, "met"),
        (87.0, 86.0, 88.34, "missed"),
        (88.44, None, None, "met"),
        (88.5, None, None, "missed"),
    ],
)
def test_a_cell_is_met_where_the_rounded_number_can_lie_in_our_interval(
    value: float, low: float | None, high: float | None, verdict: str
) -> None:
    cell = _judged("pope", 88.4, measured(value, low, high), ())
    assert (cell.verdict, cell.ours, cell.reason) == (verdict, value, "studies/x-paper, 1 seed")


@pytest.mark.parametrize(
    ("mass", "remark"),
    [(None, ""), (0.9, ""), (0.0004, "; it ranks answers that have 0.04 % of the first token's probability together")],
)
def test_a_verdict_says_where_answers_are_ranked_that_hardly_come_first(mass: float | None, remark: str) -> None:
    cell = _judged("pope", 88.4, replace(measured(88.0, 87.2, 88.8), choice_mass=mass), ())
    assert cell.reason == f"studies/x-paper, 1 seed{remark}"


def test_a_mean_needs_all_its_columns() -> None:
    parts = [
        Cell(column=name, paper=50.0, verdict="missed", ours=value, low=value - 1, high=value + 1)
        for name, value in (("refcoco", 52.0), ("refcoco_plus", 46.0), ("refcocog", 47.5))
    ]
    cell = _mean("avg", 48.4, parts, 3)
    assert (cell.verdict, cell.ours) == ("met", 48.5)
    assert _mean("avg", 60.0, parts, 3).verdict == "missed"
    lost = [*parts[:2], Cell(column="refcocog", paper=50.0, verdict="not run")]
    assert _mean("avg", 48.4, lost, 3) == Cell(
        column="avg", paper=48.4, verdict="not run", reason="the mean of columns not run: RefCOCOg"
    )


class TestStudies:
    """Studies on disk, found by the recipe that made them."""

    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        self.folder = tmp_path

    def reproduce(self) -> Reproduction:
        return reproduction("paper.table5", self.folder, recipes=["miniature.yaml"])

    def made(self, *overrides: str, profile: str = "paper") -> Path:
        """Writes a study of the recipe under a profile, as `run` with --set would have made it."""
        path = write_study(self.folder, PAPER, profile=profile, overrides=overrides)
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["profile"] == profile
        return path

    def pope(self) -> Cell:
        row = next(row for row in self.reproduce().rows if row.name == "full")
        return next(cell for cell in row.cells if cell.column == "pope")

    def test_a_laptop_result_stands_beside_and_meets_nothing(self) -> None:
        self.made(profile="laptop")
        cell = self.pope()
        assert cell.verdict == "not run"
        assert [(beside.why_not, beside.benchmark) for beside in cell.beside] == [("laptop profile", "presence")]
        assert self.reproduce().count("met") == self.reproduce().count("missed") == 0

    def test_the_embedded_world_is_no_published_benchmark_at_any_scale(self) -> None:
        self.made()
        cell = self.pope()
        assert cell.verdict == "not run"
        assert [beside.why_not for beside in cell.beside] == ["another benchmark of the same form"]

    def test_a_study_of_the_paper_profile_counts(self) -> None:
        renamed(self.made(), "presence", "pope")
        cell = self.pope()
        assert cell.verdict == "missed"
        assert cell.ours == pytest.approx(75, abs=2)
        assert cell.reason.endswith("study, 1 seed")

    def test_more_seeds_count_too(self) -> None:
        renamed(self.made("ablation.seeds=[7, 8]"), "presence", "pope")
        assert self.pope().reason.endswith("study, 2 seeds")

    def test_a_study_with_changed_settings_does_not(self) -> None:
        renamed(self.made("train.finetune.steps=19"), "presence", "pope")
        cell = self.pope()
        assert cell.verdict == "not run"
        assert [beside.why_not for beside in cell.beside] == ["settings were changed: train.finetune.steps"]

    def test_run_runs_what_nothing_prevents(self) -> None:
        miniature.write(self.folder, PAPER)
        table = self.reproduce()
        assert [(attempt.recipe, attempt.why_not) for attempt in run_missing(table, self.folder, fail)] == [
            ("miniature.yaml", "benchmark not asked: neither evaluate.benchmarks nor the data source has it")
        ]
        ready = replace(table, rows=tuple(replace(row, cells=tuple(map(runnable, row.cells))) for row in table.rows))
        started: list[tuple[str, Path]] = []

        def start(plan: StudyPlan, path: Path) -> None:
            started.append((plan.name, path))

        assert [attempt.why_not for attempt in run_missing(ready, self.folder, start)] == [""]
        assert started == [("miniature-paper", self.folder / "miniature-paper")]

        def broken(plan: StudyPlan, path: Path) -> None:
            raise CobraError("the weights cannot be had", where="mamba/7b")

        assert [attempt.why_not for attempt in run_missing(ready, self.folder, broken)] == [
            "mamba/7b: the weights cannot be had"
        ]

    def test_run_does_not_begin_what_cannot_fit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from cobra_kit.reproduce import execute

        monkeypatch.setattr(execute, "_available_memory", lambda: 1000)
        miniature.write(self.folder, PAPER)
        table = self.reproduce()
        ready = replace(table, rows=tuple(replace(row, cells=tuple(map(runnable, row.cells))) for row in table.rows))
        (attempt,) = run_missing(ready, self.folder, fail)
        assert attempt.why_not.startswith("needs ")
        assert "GiB for weights, gradients and optimiser state in float32" in attempt.why_not


def test_a_row_is_the_claim_of_the_file_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    single = miniature.RECIPE + "paper: {table: v4_table2_main, row: Cobra-3.5B}\nprofiles:\n  paper: {}\n"
    miniature.write(tmp_path, single)
    (tmp_path / "other.yaml").write_text("extends: miniature.yaml\n", encoding="utf-8")
    assert [(source.recipe, source.arm, source.model) for source in sources_of(["miniature.yaml", "other.yaml"])] == [
        ("miniature.yaml", "model", "Cobra-3.5B")
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("paper.table1", "holds settings, not results"),
        ("paper.table6", "did you mean paper.table"),
        ("table5", "did you mean paper.table5"),
        ("x", "tables: paper.table2, paper.table3, paper.table4, paper.table5, paper.table7"),
    ],
)
def test_unknown_tables(name: str, message: str) -> None:
    with pytest.raises(CobraError) as caught:
        table_named(name)
    assert message in str(caught.value)


def runnable(cell: Cell) -> Cell:
    return replace(cell, reason="can be run here: --run")


def fail(plan: StudyPlan, path: Path) -> None:
    raise AssertionError("nothing was to be run")


def renamed(study: Path, old: str, new: str) -> None:
    """Gives a benchmark of all runs another name, as if its published files had been asked."""
    for file in study.glob("runs/*/scores.json"):
        summary = json.loads(file.read_text(encoding="utf-8"))
        summary["test"][new] = summary["test"].pop(old)
        write_sealed_json(file, summary)


def test_the_plan_of_the_fake_is_the_plan_of_its_recipe(tmp_path: Path) -> None:
    path = write_study(tmp_path, PAPER, profile="paper")
    plan = make_plan(load_recipe(tmp_path / "miniature.yaml", profile="paper"))
    identity = json.loads((path / "manifest.json").read_text(encoding="utf-8"))["identity"]
    assert identity == json.loads(json.dumps(plan.identity()))
