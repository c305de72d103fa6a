"""What a report says of its seeds and machines: one run missing, a seed twice, an older study, several machines."""

from __future__ import annotations

import json
from pathlib import Path

import miniature
import pytest
from fake_study import without_digests, write_study, write_validations

from cobra_kit.errors import CobraError
from cobra_kit.files import write_json
from cobra_kit.recipe import load_recipe
from cobra_kit.report import RunMachine, render_markdown, render_text, table_to_json
from cobra_kit.report.html import render_page
from cobra_kit.study.reading.report import report_view, study_state
from cobra_kit.study.reading.run_machines import run_machines

FIVE = miniature.ABLATION + "  seeds: [1, 2, 3, 4, 5]\n"
THREE_ARMS = miniature.ABLATION + "    fused: {model: {projector: {use: ldpv2/plain}}}\n  seeds: [1, 2, 3, 4]\n"


def text_of(study: Path) -> str:
    table = study_state(study).table
    assert table is not None
    return " ".join(render_text(table).split())


def test_one_seed_of_five_that_is_not_finished_is_named_with_the_seeds_that_are_left(tmp_path: Path) -> None:
    study = write_study(tmp_path, FIVE, skip=("linear-s5",))
    write_validations(study, {"mlp": 60, "linear": 90}, steps=200)
    state = study_state(study)
    assert state.missing == ("linear-s5: not started",)
    assert state.table is not None
    assert state.table.seeds == (1, 2, 3, 4)
    assert {difference.seeds for _, _, difference in state.table.comparisons} == {4}
    assert state.table.learning is not None
    assert {change.seeds for row in state.table.learning.rows for change in row.ratios.values()} == {4}
    told = (
        "Seed 5 left out: no finished run of linear. Every score and every comparison rests on seeds 1, 2, 3, 4 of "
        "each arm."
    )
    assert told in text_of(study)
    assert told in render_markdown(state.table)
    assert told in render_page(report_view(state))


def test_arms_with_different_seeds_are_paired_over_those_they_share(tmp_path: Path) -> None:
    study = write_study(tmp_path, THREE_ARMS, skip=("mlp-s1", "linear-s2", "fused-s2"))
    assert (
        "Seed 1 left out: no finished run of mlp; seed 2 left out: no finished run of linear, fused. Every score and "
        "every comparison rests on seeds 3, 4 of each arm."
    ) in text_of(study)


def test_too_few_seeds_that_all_arms_share_are_not_judged(tmp_path: Path) -> None:
    study = write_study(tmp_path, FIVE, skip=("linear-s1", "linear-s2", "mlp-s3"))
    table = study_state(study).table
    assert table is not None
    assert {difference.verdict for _, _, difference in table.comparisons} == {"unjudged"}
    assert "rests on seeds 4, 5 of each arm" in text_of(study)


def test_a_seed_given_twice_is_refused_in_a_recipe_and_in_a_stored_study(tmp_path: Path) -> None:
    path = miniature.write(tmp_path, miniature.ABLATION + "  seeds: [1, 2, 1]\n")
    with pytest.raises(CobraError, match=r"expected different seeds, found \[1, 2, 1\]"):
        load_recipe(path)
    study = without_digests(write_study(tmp_path))
    manifest = json.loads((study / "manifest.json").read_text(encoding="utf-8"))
    write_json(study / "manifest.json", {**manifest, "seeds": [7, 8, 7]})
    with pytest.raises(CobraError, match=r"what describes the study is damaged \(seeds given twice: 7\)"):
        study_state(study)
    write_json(study / "manifest.json", {**manifest, "arms": ["mlp", "linear", "mlp"]})
    with pytest.raises(CobraError, match=r"\(arms given twice: mlp\)"):
        study_state(study)


def test_a_study_of_an_older_version_says_what_it_did_not_record_and_opens(study: Path) -> None:
    study = without_digests(study)
    facts = "processor not recorded, vector width not recorded, threads not recorded, torch 2.15.0"
    assert f"Runs were made on: {facts}." in text_of(study)
    for place in study.glob("runs/*"):
        manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
        write_json(place / "manifest.json", {**manifest, "sessions": [{"host": "vm"}]})
        lines = (place / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        kept = "".join(line for line in lines if "validation" not in line)
        (place / "metrics.jsonl").write_text(kept, encoding="utf-8")
    state = study_state(study)
    assert "Runs were made on: machine, threads and torch version not recorded." in text_of(study)
    assert state.table is not None
    assert state.table.learning is None
    assert "How fast they learn" not in render_page(report_view(state))


def test_every_machine_of_a_study_is_named(study: Path) -> None:
    study = without_digests(study)
    intel = {"processor": "Intel Xeon", "vector_bits": 512, "threads": 1, "packages": {"torch": "2.15.0"}}
    epyc = {"processor": "AMD EPYC", "vector_bits": 256, "threads": 1, "packages": {"torch": "2.15.0"}}
    for run, sessions in (("mlp-s7", [intel, intel, epyc]), ("linear-s7", [intel])):
        file = study / "runs" / run / "manifest.json"
        write_json(file, {**json.loads(file.read_text(encoding="utf-8")), "sessions": sessions})
    text = text_of(study)
    assert (
        "Runs were made on 2 machines or settings: Intel Xeon, 512-bit vectors, 1 thread per run, torch 2.15.0 "
        "(2 runs); AMD EPYC, 256-bit vectors, 1 thread per run, torch 2.15.0 (1 run)."
    ) in text
    table = study_state(study).table
    assert table is not None
    machines = json.loads(table_to_json(table))["machines"]
    assert [(machine["processor"], machine["runs"]) for machine in machines] == [("Intel Xeon", 2), ("AMD EPYC", 1)]


def test_facts_of_another_type_are_not_recorded(tmp_path: Path) -> None:
    session = {"processor": ["x"], "vector_bits": True, "threads": -1, "packages": {"torch": "2"}, "device": 3}
    write_json(tmp_path / "manifest.json", {"data": "d", "sessions": [session]})
    assert run_machines([tmp_path]) == (RunMachine(torch="2"),)
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    assert run_machines([tmp_path]) == (RunMachine(),)


def test_the_page_has_curves_with_a_band_and_of_two_seeds_single_lines(tmp_path: Path) -> None:
    for folder in ("five", "two"):
        (tmp_path / folder).mkdir()
    five = write_study(tmp_path / "five", FIVE)
    write_validations(five, {"mlp": 60, "linear": 90}, steps=200)
    page = render_page(report_view(study_state(five)))
    section = page[page.index('id="how-fast-they-learn"') : page.index('id="cost"')]
    # The mean and three benchmarks.
    assert section.count('class="band arm1"') == section.count('class="band arm2"') == 4
    assert "band: the 95 % interval of that mean (Student's t)" in section.replace("&#39;", "'")
    assert "linear / ref [95 %]" in section
    two = write_study(tmp_path / "two", miniature.ABLATION + "  seeds: [1, 2]\n")
    write_validations(two, {"mlp": 60, "linear": 90}, steps=200)
    page = render_page(report_view(study_state(two)))
    section = page[page.index('id="how-fast-they-learn"') : page.index('id="cost"')]
    assert 'class="band' not in section
    assert section.count('class="line arm1"') == 4 * 2 + 1  # and the legend's
    assert "linear / ref (not judged)" in section


def test_validations_that_are_no_numbers_are_left_out_and_told(study: Path) -> None:
    file = study / "runs" / "mlp-s7" / "metrics.jsonl"
    with open(file, "a", encoding="utf-8") as lines:
        lines.write('{"stage": "finetune", "step": 30, "validation": {"presence": "high", "mean": 0.5}}\n')
    state = study_state(study)
    assert any("damaged lines (1), which the curves leave out" in line for line in state.missing)
    assert "high" not in render_page(report_view(state)).split('id="training"')[1].split("</section>")[0]


@pytest.mark.parametrize("damage", ["cut", "scrambled"])
def test_a_run_whose_log_is_not_whole_has_no_steps_to_a_level_and_is_told(tmp_path: Path, damage: str) -> None:
    study = without_digests(write_study(tmp_path, FIVE))
    write_validations(study, {"mlp": 60, "linear": 90}, steps=200)
    for place in study.glob("runs/*"):
        training = json.loads((place / "training.json").read_text(encoding="utf-8"))
        write_json(place / "training.json", {**training, "stages": [{"stage": "finetune", "steps": 200}]})
    whole = study_state(study).table
    assert whole is not None
    assert whole.learning is not None
    assert not any("whole log" in note for note in whole.learning.notes)
    file = study / "runs" / "linear-s2" / "metrics.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    # A kill in the middle of writing, and a line that a disk spoilt.
    lines = lines[:-1] if damage == "cut" else [*lines[:-4], "?" + lines[-4], *lines[-3:]]
    file.write_text("".join(lines), encoding="utf-8")
    table = study_state(study).table
    assert table is not None
    assert table.learning is not None
    assert (
        "linear has no whole log of validations in finetune of seed 2, which its steps leave out"
        in table.learning.notes
    )
    assert {row.steps["linear"].runs for row in table.learning.rows} == {4}
    assert {row.ratios["linear"].seeds for row in table.learning.rows} == {4}
