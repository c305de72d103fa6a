"""Steps as a recorded graph: the same answers, one recording for many batches, and a reason whenever there is none."""

from __future__ import annotations

import copy
import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from recorder import Recorder, Tape

from cobra_kit.errors import CobraError, KernelError
from cobra_kit.model import Batch, VisionLanguageModel, compose
from cobra_kit.model.decoding import DecodeSession, Precision, Sampling, generate_ids, release, workspace
from cobra_kit.model.decoding.graphs import CudaGraphs

QUESTIONS = ["What is it?", "Is there a red circle in the picture?", "No"]
FIRST_PARTY = """
title: first-party
seed: 3
model:
  vision_encoder: {{use: siglip/tiny, weights: none, width: 24, depth: 2, heads: 2}}
  projector: {{use: mlp/linear}}
  fusion: {{use: fusion/image-first}}
  backbone: {{{}}}
"""
TRANSFORMER = FIRST_PARTY.format("use: transformer/tiny, hidden_size: 32, initializer_range: 0.3")


@pytest.fixture
def safe(model: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch) -> VisionLanguageModel:
    monkeypatch.setattr(type(model.backbone), "graph_safe", True)
    return model.eval()


def prompts(model: VisionLanguageModel, questions: list[str], images: list[list[Any]] | None = None) -> Batch:
    processor = model.processor
    rows = [
        processor.row([(question, None)], images[i] if images else [], for_generation=True)
        for i, question in enumerate(questions)
    ]
    return processor.collate(rows, for_generation=True)


def answers(model: VisionLanguageModel, batch: Batch, **settings: Any) -> list[list[int]]:
    settings = {"max_new_tokens": 9, "stop_ids": [model.processor.codec.tokenizer.eos_id], **settings}
    return generate_ids(model, batch, **settings)


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(0.8, seed=4), Sampling(1.0, 0.7, seed=5)], ids=["greedy", "drawn", "top-p"]
)
@pytest.mark.parametrize("precision", [Precision(), Precision(state=torch.bfloat16)], ids=["kept", "rounded"])
def test_recorded_answers_are_those_of_single_steps(
    safe: VisionLanguageModel, sampling: Sampling, precision: Precision
) -> None:
    batch, recorder = prompts(safe, QUESTIONS), Recorder()
    given: dict[str, Any] = {"sampling": sampling, "precision": precision}
    plain = answers(safe, batch, graphs="never", **given)
    assert answers(safe, batch, graphs="always", recorder=recorder, **given) == plain
    assert recorder.captured == 1
    assert recorder.replayed > 0
    assert any(plain)


def test_a_graph_serves_every_batch_of_its_shape(safe: VisionLanguageModel) -> None:
    recorder = Recorder()
    for questions in (QUESTIONS, QUESTIONS[::-1], ["And?", "Or?", "What else is in the picture?"]):
        for seed in (1, 2):
            batch, sampling = prompts(safe, questions), Sampling(0.9, seed=seed)
            expected = answers(safe, batch, sampling=sampling, graphs="never")
            assert answers(safe, batch, sampling=sampling, recorder=recorder) == expected
    assert recorder.captured == 1
    answers(safe, prompts(safe, QUESTIONS[:2]), recorder=recorder)
    assert recorder.captured == 2, "another number of rows is another graph"


def test_two_sessions_at_once_do_not_share_memory(safe: VisionLanguageModel) -> None:
    recorder = Recorder()
    batches = [prompts(safe, [question]) for question in QUESTIONS[:2]]
    expected = [answers(safe, batch, graphs="never", stop_ids=[]) for batch in batches]
    sessions = [DecodeSession(safe, batch, max_new_tokens=9, recorder=recorder) for batch in batches]
    for session in sessions:
        session.prefill()
    for _ in range(8):
        for session in sessions:
            session.advance()
    assert [session.tokens() for session in sessions] == expected
    assert recorder.captured == 2


def test_moved_weights_are_recorded_again_and_changed_ones_are_read(safe: VisionLanguageModel) -> None:
    batch, recorder = prompts(safe, QUESTIONS), Recorder()
    before = answers(safe, batch, recorder=recorder)
    with torch.no_grad():
        for parameter in safe.backbone.parameters():
            parameter.neg_()
    after = answers(safe, batch, recorder=recorder)
    assert after == answers(safe, batch, graphs="never") != before
    assert recorder.captured == 1
    safe.backbone.load_state_dict(copy.deepcopy(safe.backbone.state_dict()), assign=True)
    assert answers(safe, batch, recorder=recorder) == after
    assert recorder.captured == 2


def test_few_workspaces_are_kept_and_none_outlives_its_model(recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = compose(recipe).eval()
    monkeypatch.setattr(type(model.backbone), "graph_safe", True)
    for rows in range(1, workspace.KEPT + 3):
        answers(model, prompts(model, ["What?"] * rows), recorder=_Forgetful())
    assert len(workspace._kept[model]) == workspace.KEPT
    known = len(workspace._kept)
    del model
    gc.collect()
    assert len(workspace._kept) < known


def test_what_is_kept_makes_room_and_can_be_released(
    safe: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device with room for one workspace."""
    real = workspace.new_state

    def new_state(*given: Any) -> Any:
        if workspace._kept.get(safe):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(*given)

    monkeypatch.setattr(workspace, "new_state", new_state)
    recorder = Recorder()
    for count in (1, 2, 3):
        answers(safe, prompts(safe, QUESTIONS[:count]), recorder=recorder, graphs="always")
        assert [space.shape.rows for space in workspace._kept[safe]] == [count]
    assert recorder.captured == 3
    release(safe)
    assert safe not in workspace._kept
    monkeypatch.setattr(workspace, "new_state", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("no room")))
    with pytest.raises(KernelError, match="capturing failed: no room"):
        answers(safe, prompts(safe, QUESTIONS), recorder=recorder, graphs="always")


class _Forgetful(Recorder):
    """Replays nothing, so it holds nothing."""

    def capture(self, step: Callable[[], None], device: torch.device) -> Callable[[], None]:
        return lambda: None


class _Broken(Recorder):
    def capture(self, step: Callable[[], None], device: torch.device) -> Callable[[], None]:
        step()
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore lines")


def test_what_cannot_be_captured_goes_on_without(safe: VisionLanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    batch = prompts(safe, QUESTIONS)
    session = DecodeSession(safe, batch, max_new_tokens=5, recorder=_Broken())
    assert session.uses_graph
    with caplog.at_level(logging.WARNING):
        session.prefill()
    session.advance(4)
    assert session.tokens() == answers(safe, batch, graphs="never", stop_ids=[], max_new_tokens=5)
    assert not session.uses_graph
    assert session.graph_reason == "capturing failed: CUDA out of memory. Tried to allocate 2 GiB"
    assert [record.getMessage() for record in caplog.records] == [
        "Decoding goes on without a CUDA graph, more slowly: " + session.graph_reason
    ]
    with pytest.raises(KernelError, match="steps cannot run as a graph: capturing failed: CUDA out of memory"):
        DecodeSession(safe, batch, max_new_tokens=5, graphs="always", recorder=_Broken()).prefill()


def test_reasons(model: VisionLanguageModel) -> None:
    batch = prompts(model, QUESTIONS)
    auto = DecodeSession(model, batch, max_new_tokens=5)
    assert (auto.uses_graph, auto.graph_reason) == (False, "there are no CUDA graphs on CPU")
    never = DecodeSession(model, batch, max_new_tokens=5, graphs="never")
    assert never.graph_reason == "graphs are switched off"
    unsafe = DecodeSession(model, batch, max_new_tokens=5, recorder=Recorder())
    assert unsafe.graph_reason == "ToyBackbone does not declare graph_safe"
    session = DecodeSession(model, batch, max_new_tokens=1, graphs="always", recorder=Recorder())
    assert (session.uses_graph, session.graph_reason) == (False, "no token needs a step")
    with pytest.raises(ValueError, match="graphs must be one of auto, never, always, not 'sometimes'"):
        DecodeSession(model, batch, max_new_tokens=5, graphs="sometimes")  # type: ignore[arg-type]
    with pytest.raises(KernelError, match="steps cannot run as a graph: there are no CUDA graphs on CPU") as caught:
        DecodeSession(model, batch, max_new_tokens=5, graphs="always")
    assert "graphs='auto'" in str(caught.value)
    assert CudaGraphs().unavailable(torch.device("cuda")) is None
    assert CudaGraphs().unavailable(torch.device("mps")) == "mps has no CUDA graphs"


def test_a_step_that_waits_for_the_device_is_noticed(
    safe: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorder's own teeth: a sync in a step fails, as it does on a GPU."""
    inner = safe.backbone.step

    def step(embeddings: torch.Tensor, state: Any) -> torch.Tensor:
        assert int(state.lengths[0]) >= 0
        return inner(embeddings, state)

    monkeypatch.setattr(safe.backbone, "step", step)
    session = DecodeSession(safe, prompts(safe, QUESTIONS), max_new_tokens=5, recorder=Recorder())
    session.prefill()
    assert "_local_scalar_dense.default waits for the device" in session.graph_reason


@pytest.mark.parametrize("kernel", ["chunked", "auto"])
@pytest.mark.parametrize("name", ["tiny", "mamba2-tiny"])
def test_a_step_of_mamba_can_be_recorded(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, name: str, kernel: str
) -> None:
    """One graph for any length: its state has one size."""
    monkeypatch.setenv("COBRA_KIT_MAMBA_KERNEL", kernel)
    (tmp_path / "m.yaml").write_text(FIRST_PARTY.format(f"use: mamba/{name}, d_model: 32, d_state: 8"))
    model = compose(tmp_path / "m.yaml").eval()
    monkeypatch.setattr(type(model.backbone), "graph_safe", True)
    batch, recorder, sampling = prompts(model, QUESTIONS), Recorder(), Sampling(1.0, 0.9)
    plain = answers(model, batch, graphs="never", stop_ids=[], sampling=sampling, max_new_tokens=40)
    got = answers(model, batch, graphs="always", stop_ids=[], sampling=sampling, recorder=recorder, max_new_tokens=40)
    assert got == plain
    assert (recorder.captured, recorder.replayed) == (1, 39)


@pytest.mark.parametrize("tokens", [6, 300], ids=["one bucket", "two buckets"])
def test_a_growing_step_has_one_graph_per_bucket(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    """The Transformer, which on a GPU may not look at lengths, attends to as much as the host says."""
    from cobra_kit_transformer import slots

    (tmp_path / "t.yaml").write_text(TRANSFORMER)
    model = compose(tmp_path / "t.yaml").eval()
    batch, recorder = prompts(model, QUESTIONS), Recorder()
    plain = answers(model, batch, graphs="never", stop_ids=[], max_new_tokens=tokens)
    assert len({token for row in plain for token in row}) > 5
    monkeypatch.setattr(slots, "looks_are_free", lambda device: False)
    got = answers(model, batch, graphs="always", recorder=recorder, stop_ids=[], max_new_tokens=tokens)
    assert got == plain
    assert recorder.captured == (1 if tokens == 6 else 2)
    assert recorder.replayed == tokens - 1


def test_nothing_waits_for_the_device_until_somebody_asks(model: VisionLanguageModel) -> None:
    session = DecodeSession(model, prompts(model, QUESTIONS), max_new_tokens=9, sampling=Sampling(0.9, 0.9))
    with Tape():
        session.prefill()
        session.advance(7)
    with pytest.raises(AssertionError, match="waits for the device"), Tape():
        session.finished()
    session.advance(1)
    assert [len(row) for row in session.tokens()] == [9] * 3


def test_a_row_that_is_not_numbers_is_named(safe: VisionLanguageModel) -> None:
    batch = prompts(safe, QUESTIONS)
    tokenizer = safe.processor.codec.tokenizer
    red = set(tokenizer.encode(QUESTIONS[1])) - {
        id_ for q in (QUESTIONS[0], QUESTIONS[2]) for id_ in tokenizer.encode(q)
    }
    with torch.no_grad():
        safe.backbone.embedding.weight[red.pop()] = torch.nan
    with pytest.raises(CobraError, match="the model's logits are not numbers in row 1 of 3"):
        answers(safe, batch, max_new_tokens=1)


def test_nan_logits_are_an_error_when_tokens_are_read(safe: VisionLanguageModel) -> None:
    batch = prompts(safe, QUESTIONS)
    with torch.no_grad():
        safe.backbone.head.weight[3] = torch.nan
    for recorder in (None, Recorder()):
        session = DecodeSession(safe, batch, max_new_tokens=5, recorder=recorder)
        session.prefill()
        session.advance(4)
        with pytest.raises(CobraError, match=r"the model's logits are not numbers in row 0, 1, 2 of 3") as caught:
            session.tokens()
        assert "bfloat16" in str(caught.value)
