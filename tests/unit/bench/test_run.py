"""Whole benches of tiny models, from Python: side by side, the paper's protocol, strangers' parts, what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_recipe import RECIPE

from cobra_kit._plugins import configure
from cobra_kit.bench import Settings, bench, bench_systems, cases, memory, subjects_of, systems, systems_of, to_plain
from cobra_kit.bench.cases import Case, cases_of
from cobra_kit.bench.models import build
from cobra_kit.bench.subjects import Subject
from cobra_kit.errors import CobraError, PluginError, WeightsError
from cobra_kit.model.decoding import DecodeSession

QUICK = Settings(
    prompt_tokens=(4, 24), image_tokens=(0,), new_tokens=3, repeats=2, warmup=0, memory=False, device="cpu"
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def arms() -> list[Subject]:
    return subjects_of("ablation_backbone")[1]


def test_arms_side_by_side(arms: list[Subject]) -> None:
    lines: list[str] = []
    result = bench(arms, QUICK, recipe="ablation_backbone", profile="laptop", report=lines.append)
    assert [(measurement.subject, measurement.context) for measurement in result.measurements] == [
        ("mamba", 4),
        ("mamba", 24),
        ("transformer", 4),
        ("transformer", 24),
    ]
    for measurement in result.measurements:
        assert 0 < measurement.step.low <= measurement.step.median <= measurement.step.high
        assert measurement.total.median == pytest.approx(
            measurement.first_token.median + 2 * measurement.step.median, rel=0.5
        )
        assert measurement.share == pytest.approx(
            measurement.traffic.total / measurement.step.median / result.bandwidth.best
        )
        assert not measurement.graph
        assert measurement.peak is None
    (name,) = result.crossovers
    assert name == "float32, 1 row: mamba, transformer"
    assert result.crossovers[name].constant == "mamba"
    assert "random weights" in result.statement
    assert result.kernels["mamba, float32"][0].count == 2
    assert any("bandwidth" in line for line in lines)


def test_a_record_is_plain_json_with_what_it_depends_on(arms: list[Subject]) -> None:
    result = bench(arms[:1], QUICK, recipe="ablation_backbone", profile="laptop")
    plain = json.loads(json.dumps(to_plain(result), allow_nan=False))
    assert (plain["kind"], plain["schema"], plain["weights"]) == ("cobra-kit bench", 1, "random")
    assert torch.__version__.startswith(plain["session"]["packages"]["torch"])
    assert {"git_commit", "processor", "threads"} <= set(plain["session"])
    assert plain["bandwidth"]["best"] == max(plain["bandwidth"][kind] for kind in ("copy", "triad", "read"))
    measurement = plain["measurements"][0]
    assert measurement["decode_tokens_per_s"] == pytest.approx(1 / measurement["step"]["median"])
    assert plain["kernels"]["mamba, float32"][0]["layers"].startswith("backbone.layers.0-1")


def test_the_papers_protocol_answers_with_every_token() -> None:
    _, subjects = subjects_of("cobra_tiny")
    settings = replace(QUICK, protocol="cobra", new_tokens=256, repeats=1)
    (measurement,) = bench(subjects, settings, recipe="cobra_tiny").measurements
    assert (measurement.visual_tokens, measurement.new_tokens, measurement.batch) == (64, 256, 1)
    assert measurement.encoded
    assert measurement.text_tokens > 5
    assert measurement.context == measurement.text_tokens + 64
    assert measurement.paper_rate == pytest.approx(256 / measurement.total.median)
    assert measurement.paper_rate < measurement.decode_rate


def test_stop_tokens_end_nothing(arms: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(arms[0], device=CPU, dtype=torch.float32, weights="random")
    eos = model.processor.codec.tokenizer.eos_id

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.full(hidden.shape[:-1], eos), 400).float()

    monkeypatch.setattr(model.backbone, "logits", logits)
    (case, *_) = cases_of("ends", "float32", model, QUICK)
    case.measure()
    case.check()
    assert case.session.tokens() == [[eos] * 3]


@pytest.mark.parametrize(
    ("images", "encoded", "visual"), [(None, True, 64), (0, False, 0), (49, False, 49), (50, False, 50)]
)
def test_visual_tokens(arms: list[Subject], images: int | None, encoded: bool, visual: int) -> None:
    model = build(arms[0], device=CPU, dtype=torch.float32, weights="random")
    settings = replace(QUICK, image_tokens=(images,), batch=(2,), prompt_tokens=(5,))
    (case,) = cases_of("mamba", "float32", model, settings)
    assert (case.encoded, case.prompt.visual_tokens, case.prompt.context) == (encoded, visual, 5 + visual)
    case.measure()
    case.check()
    if not encoded:
        case.prompt.model.vision_encoder = torch.nn.Identity()  # type: ignore[assignment]  # it is not asked
        case.measure()


def test_a_stranger_s_parts_are_measured_too(tmp_path: Path) -> None:
    configure(files=[Path(__file__).parents[2] / "toy_plugin.py"])
    recipe = tmp_path / "toy.yaml"
    recipe.write_text(RECIPE)
    _, subjects = subjects_of(str(recipe))
    result = bench(subjects, replace(QUICK, image_tokens=(None,), memory=True), recipe="toy")
    assert len(result.measurements) == 2
    for measurement in result.measurements:  # the process that measures memory found the plugin too
        assert measurement.peak is None or 0 <= measurement.peak.above_weights < measurement.peak.total


def test_memory_of_a_longer_prompt_is_more(arms: list[Subject]) -> None:
    settings = replace(QUICK, prompt_tokens=(64, 12000), new_tokens=2, repeats=1, memory=True)
    short, long = bench(arms[:1], settings, recipe="ablation_backbone").measurements
    if short.peak is None or long.peak is None:
        pytest.skip("this system keeps no peak")
    assert long.peak.above_weights > short.peak.above_weights + 5_000_000


def test_ctrl_c_keeps_what_was_measured(arms: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    original = Case.measure

    def measure(self: Case) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == 4 + 4 + 3:  # every case once before, a round, and two cases of the next
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(Case, "measure", measure)
    result = bench(arms, replace(QUICK, memory=True), recipe="ablation_backbone")
    assert result.interrupted
    assert [measurement.step.count for measurement in result.measurements] == [2, 2, 1, 1]
    assert result.repeats == 1


def test_ctrl_c_before_anything_was_measured(arms: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(self: Case) -> list[float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Case, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        bench(arms, QUICK, recipe="ablation_backbone")


def test_what_does_not_fit_is_refused_before_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 5 * 10**9)
    _, subjects = subjects_of("cobra_3b", profile="paper")
    with pytest.raises(WeightsError) as caught:
        bench(subjects, replace(QUICK, protocol="cobra", new_tokens=256), recipe="cobra_3b", laptop="cobra-kit bench x")
    text = str(caught.value)
    assert "this needs 14." in text
    assert "cpu has 5.0 GB free" in text
    assert "At a size for this machine: cobra-kit bench x" in text


def test_numbers_that_are_none_are_an_error(arms: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> object:
        model = build(*args, **options)  # type: ignore[arg-type]
        next(model.backbone.parameters()).fill_(math.nan)
        return model

    monkeypatch.setattr("cobra_kit.bench.run.build", broken)
    with pytest.raises(CobraError, match="logits are not numbers"):
        bench(arms[:1], QUICK, recipe="ablation_backbone")


def test_weights_of_the_recipe(arms: list[Subject], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    random = subjects_of("cobra_tiny")[1]
    with pytest.raises(WeightsError) as caught:
        bench(random, replace(QUICK, weights="recipe"), recipe="cobra_tiny")
    assert "cobra_tiny names no weights for mamba/tiny" in str(caught.value)
    assert "Use --weights random" in str(caught.value)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    _, subjects = subjects_of("cobra_tiny", overrides=["model.backbone.use=mamba/130m"])
    with pytest.raises(WeightsError) as caught:
        build(subjects[0], device=CPU, dtype=torch.float32, weights="recipe")
    assert "weights of mamba/130m" in str(caught.value)
    assert "hf download" in str(caught.value)
    packaged, chosen = (build(arms[0], device=CPU, dtype=torch.float32, weights=kind) for kind in ("recipe", "random"))
    assert not torch.equal(next(packaged.backbone.parameters()), next(chosen.backbone.parameters()))


def test_against(arms: list[Subject]) -> None:
    _, subjects = subjects_of("cobra_tiny", against="transformer/tiny")
    assert [subject.name for subject in subjects] == ["mamba/tiny", "transformer/tiny"]
    assert subjects[1].backbone == "transformer/tiny"
    _, subjects = subjects_of("ablation_backbone", against="cobra_tiny")
    assert [subject.name for subject in subjects] == ["mamba", "transformer", "cobra_tiny"]
    with pytest.raises(PluginError) as caught:
        subjects_of("cobra_tiny", against="transformer/tyni")
    assert "--against: neither a recipe nor a backbone is named 'transformer/tyni'" in str(caught.value)
    assert "transformer/tiny" in str(caught.value)


def test_a_graph_that_cannot_be_is_an_error(arms: list[Subject]) -> None:
    with pytest.raises(CobraError, match="steps cannot run as a graph"):
        bench(arms[:1], replace(QUICK, graphs="always"), recipe="ablation_backbone")


def test_a_tokenizer_that_is_not_here_is_stood_in_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    changes = ["model.backbone={use: mamba/130m, d_model: 64, n_layer: 2}"]
    _, subjects = subjects_of("cobra_tiny", overrides=changes)
    result = bench(subjects, replace(QUICK, protocol="cobra", new_tokens=4), recipe="cobra_tiny")
    assert result.tokenizers == ("cobra_tiny",)
    assert result.measurements[0].traffic.weights > 50280 * 64 * 4


def test_table_3_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = systems_of("paper.table3", "laptop")
    assert [subject.name for subject in chosen.subjects] == [
        "LLaVA-Phi",
        "MobileVLM v2",
        "Cobra-3.5B",
        "Cobra-LDPv2-3.5B",
        "Cobra-8B",
    ]
    settings = replace(QUICK, protocol="cobra", new_tokens=4, repeats=1)
    result = bench_systems(chosen, settings)
    assert {measurement.subject for measurement in result.measurements} == {subject.name for subject in chosen.subjects}
    assert [system.name for system in result.not_run] == ["MoE-LLaVA"]
    assert result.paper["Cobra-3.5B"] == (166.47, 1.54)
    visual = {measurement.subject: measurement.visual_tokens for measurement in result.measurements}
    assert visual["Cobra-3.5B"] == 4 * visual["Cobra-LDPv2-3.5B"]
    assert result.side_by_side


def test_table_3_where_nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 10**9)
    chosen = systems_of("paper.table3")
    smaller = replace(chosen, subjects=chosen.subjects[1:2])  # counting one of them takes seconds
    result = bench_systems(smaller, replace(QUICK, protocol="cobra", new_tokens=256))
    assert not result.measurements
    (large, without) = result.not_run
    assert large.name == "MobileVLM v2"
    assert large.reason == "needs 12.4 GB of memory, 1.0 GB are free"
    assert "experts" in without.reason


def test_table_3_where_it_would_take_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "LONGEST", 0.0)
    result = bench_systems(systems_of("paper.table3", "laptop"), replace(QUICK, protocol="cobra", new_tokens=256))
    assert all("minutes here at the least: 256 tokens, 3 times" in system.reason for system in result.not_run[:5])


def test_a_system_whose_parts_are_not_installed_is_not_run() -> None:
    configure(enabled=False)
    chosen = systems_of("paper.table3", "laptop")
    assert chosen.subjects == ()
    assert all("no vision encoder named" in system.reason for system in chosen.not_run if system.name != "MoE-LLaVA")


def test_other_tables_have_no_speeds() -> None:
    with pytest.raises(CobraError) as caught:
        systems_of("paper.table2")
    assert "no speeds in 'paper.table2': they are in paper.table3" in str(caught.value)
    assert "cobra-kit reproduce paper.table2" in str(caught.value)


def test_systems_that_do_not_fit_together_come_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "fits", lambda all_needs, device: len(list(all_needs)) == 1)
    result = bench_systems(
        replace(systems_of("paper.table3", "laptop"), not_run=()),
        replace(QUICK, protocol="cobra", new_tokens=4, repeats=1),
    )
    assert len(result.measurements) == 5
    assert not result.side_by_side


def test_out_of_memory_leaves_the_others(arms: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    original = DecodeSession.prefill

    def prefill(self: DecodeSession) -> None:
        if self._batch.layout.max_length == 24:
            raise torch.OutOfMemoryError("no room")
        original(self)

    monkeypatch.setattr(cases.DecodeSession, "prefill", prefill)
    result = bench(arms[:1], QUICK, recipe="ablation_backbone")
    assert [measurement.context for measurement in result.measurements] == [4]
    assert [(case.name, case.reason) for case in result.not_run] == [("mamba, float32, 1 x (24 + 0)", "out of memory")]
