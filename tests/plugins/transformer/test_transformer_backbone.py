"""transformer/tiny against transformers' own model, and the promises of a backbone: padding, batches, steps."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from rounding import check_same
from torch import Tensor
from transformer_checks import check_packing, close, full, packed, rows_of, sequence
from transformers import GPTNeoXForCausalLM

from cobra_kit._plugins import default_registry
from cobra_kit.errors import ShapeError, WeightsError
from cobra_kit.interfaces import DecodeState, FusedSequence
from cobra_kit.weights import load_tensors, save_tensors
from cobra_kit_transformer import slots
from cobra_kit_transformer.backbone import GptNeoxBackbone
from cobra_kit_transformer.config import TransformerTinyConfig
from cobra_kit_transformer.gpt_neox import gpt_neox_config

CPU = torch.device("cpu")
# Attention that matters: with the weights of a fresh model (0.02) wrong positions or masks would hardly show.
LOUD = TransformerTinyConfig(initializer_range=0.15)
LOUD_EAGER = LOUD.model_copy(update={"attention": "eager"})
SIZES = [
    TransformerTinyConfig(),
    TransformerTinyConfig(hidden_size=64, num_layers=3, num_heads=2, intermediate_size=256, rotary_pct=1.0),
    TransformerTinyConfig(hidden_size=96, num_layers=1, num_heads=6, vocab_size=101, tie_embeddings=False),
    TransformerTinyConfig(attention="eager"),
]


def build(config: TransformerTinyConfig | None = None, seed: int = 0) -> GptNeoxBackbone:
    with torch.device("meta"):
        backbone = GptNeoxBackbone(config or TransformerTinyConfig())
    backbone.to_empty(device="cpu")
    backbone.reset_parameters(torch.Generator().manual_seed(seed))
    backbone.load_pretrained()
    return backbone.eval()


@pytest.mark.parametrize("config", SIZES, ids=range(len(SIZES)))
@torch.no_grad()
def test_logits_equal_transformers(config: TransformerTinyConfig) -> None:
    backbone = build(config)
    reference = GPTNeoXForCausalLM(gpt_neox_config(config)).eval()
    reference.load_state_dict(backbone.state_dict(), strict=config.tie_embeddings is False)
    reference.tie_weights()
    ids = torch.randint(backbone.vocab_size, (3, 17))
    embeddings = backbone.embed(ids.flatten()).view(3, 17, -1)
    hidden = backbone(FusedSequence(embeddings, sequence(list(embeddings)).layout))
    expected = reference(input_ids=ids).logits
    assert expected.std() > 0.01
    check_same(backbone.logits(hidden), expected)


@torch.no_grad()
def test_tied_weights_leave_nothing_of_transformers_unset() -> None:
    backbone = build()
    reference = GPTNeoXForCausalLM(gpt_neox_config(backbone.config))
    missing, unexpected = reference.load_state_dict(backbone.state_dict(), strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    assert reference.lm_head.weight is reference.gpt_neox.embed_in.weight


def test_gradients_equal_transformers() -> None:
    backbone = build()
    reference = GPTNeoXForCausalLM(gpt_neox_config(backbone.config)).eval()
    reference.load_state_dict(backbone.state_dict(), strict=False)
    ids = torch.randint(backbone.vocab_size, (2, 9))
    embeddings = backbone.embed(ids.flatten()).view(2, 9, -1)
    hidden = backbone(FusedSequence(embeddings, sequence(list(embeddings.detach())).layout))
    for logits in (backbone.logits(hidden), reference(input_ids=ids).logits):
        torch.autograd.backward(logits.square().sum())
    theirs = dict(reference.named_parameters())
    for name, parameter in backbone.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, theirs[name].grad, atol=1e-3, rtol=1e-5, msg=name)


@pytest.mark.parametrize("config", [LOUD, LOUD_EAGER], ids=["sdpa", "eager"])
@torch.no_grad()
def test_padding_and_batching_change_no_real_token(config: TransformerTinyConfig) -> None:
    backbone = build(config)
    rows = rows_of([5, 1, 12, 9])
    together = backbone.logits(backbone(sequence(rows)))
    for row, got in zip(rows, together, strict=True):
        close(got[: len(row)], full(backbone, row))


@torch.no_grad()
def test_no_token_sees_a_later_one() -> None:
    backbone = build(LOUD)
    (row,) = rows_of([10])
    changed = row.clone()
    changed[6:] = torch.randn(4, 128)
    before, after = full(backbone, row), full(backbone, changed)
    close(before[:6], after[:6])
    assert not torch.allclose(before[6:], after[6:], atol=1e-2)


@torch.no_grad()
def test_order_matters() -> None:
    backbone = build(LOUD)
    (row,) = rows_of([10])
    swapped = row[[1, 0, *range(2, 10)]]
    assert not torch.allclose(full(backbone, row)[-1], full(backbone, swapped)[-1], atol=1e-2)


@pytest.mark.parametrize("config", [LOUD, LOUD_EAGER], ids=["sdpa", "eager"])
@torch.no_grad()
def test_stepping_equals_the_full_pass(config: TransformerTinyConfig) -> None:
    """Rows of different lengths are prefilled together, then stepped together."""
    backbone = build(config)
    prompts, steps = [7, 1, 11], 6
    rows = rows_of([length + steps for length in prompts])
    state = backbone.new_state(3, max(prompts) + steps, device=CPU, dtype=torch.float32)
    prompt = sequence([row[:length] for row, length in zip(rows, prompts, strict=True)])
    logits = backbone.logits(backbone(prompt, state))
    assert state.lengths.tolist() == prompts
    got = [[outputs[:length]] for outputs, length in zip(logits, prompts, strict=True)]
    for number in range(steps):
        embeddings = torch.stack([row[length + number] for row, length in zip(rows, prompts, strict=True)])
        stepped = backbone.logits(backbone.step(embeddings, state))
        assert state.lengths.tolist() == [length + number + 1 for length in prompts]
        for index in range(3):
            got[index].append(stepped[index : index + 1])
    for row, pieces in zip(rows, got, strict=True):
        close(torch.cat(pieces), full(backbone, row))


@torch.no_grad()
def test_stepping_from_nothing_equals_the_full_pass() -> None:
    backbone = build(LOUD)
    rows = rows_of([6, 6])
    state = backbone.new_state(2, 6, device=CPU, dtype=torch.float32)
    stepped = torch.stack([backbone.step(torch.stack([r[t] for r in rows]), state) for t in range(6)], dim=1)
    close(stepped, backbone(sequence(rows)))


@torch.no_grad()
def test_a_prefill_goes_on_from_a_state() -> None:
    backbone = build(LOUD)
    pieces = [[4, 1, 3], [2, 9, 3], [3, 3, 1]]  # one list per prefill, one length per row
    totals = [sum(column) for column in zip(*pieces, strict=True)]
    rows = rows_of(totals)
    state = backbone.new_state(3, max(totals), device=CPU, dtype=torch.float32)  # padding reaches beyond the end
    got: list[list[Tensor]] = [[], [], []]
    start = [0, 0, 0]
    for lengths in pieces:
        cut = [row[a : a + n] for row, a, n in zip(rows, start, lengths, strict=True)]
        logits = backbone.logits(backbone(sequence(cut), state))
        for index, length in enumerate(lengths):
            got[index].append(logits[index, :length])
            start[index] += length
    assert state.lengths.tolist() == totals
    for row, parts in zip(rows, got, strict=True):
        close(torch.cat(parts), full(backbone, row))


@torch.no_grad()
def test_the_state_after_padding_is_the_state_without() -> None:
    backbone = build(LOUD)
    rows = rows_of([3, 8])
    together = backbone.new_state(2, 10, device=CPU, dtype=torch.float32)
    backbone(sequence(rows), together)
    alone = backbone.new_state(1, 10, device=CPU, dtype=torch.float32)
    backbone(sequence(rows[:1]), alone)
    for name, tensor in alone.tensors.items():
        close(together.tensors[name][:1], tensor)
        assert together.tensors[name][0, :, 3:].abs().max() == 0
        assert tensor[0, :, :3].abs().min() > 0


@torch.no_grad()
def test_states_keep_their_addresses_and_can_be_picked_and_emptied() -> None:
    backbone = build(LOUD)
    rows = rows_of([4, 6, 5])
    state = backbone.new_state(3, 9, device=CPU, dtype=torch.float32)
    assert {name: tuple(t.shape) for name, t in state.tensors.items()} == {
        name: (3, 4, 9, 32) for name in ("k.0", "v.0", "k.1", "v.1")
    }
    assert state.lengths.dtype == torch.int32
    assert state.nbytes == 4 * 3 * 4 * 9 * 32 * 4 + 3 * 4
    addresses = [t.data_ptr() for t in (*state.tensors.values(), state.lengths)]
    backbone(sequence(rows), state)
    token = torch.randn(3, 128)
    picked = state.select(torch.tensor([2, 0]))
    stepped = backbone.step(token, state)
    assert [t.data_ptr() for t in (*state.tensors.values(), state.lengths)] == addresses
    close(backbone.step(token[[2, 0]], picked), stepped[[2, 0]])
    state.reset(torch.tensor([1]))
    assert state.lengths.tolist() == [5, 0, 6]
    fresh = backbone.new_state(1, 9, device=CPU, dtype=torch.float32)
    close(backbone.step(token, state)[1:2], backbone.step(token[1:2], fresh))


@pytest.mark.parametrize("config", [LOUD, LOUD_EAGER], ids=["sdpa", "eager"])
@pytest.mark.parametrize("lengths", [[9], [6, 6], [7, 1, 11]], ids=str)
@pytest.mark.parametrize("looks", [True, False])
@torch.no_grad()
def test_with_and_without_looks_at_the_lengths_steps_are_the_same(
    config: TransformerTinyConfig, lengths: list[int], looks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the core calls it, `used` on the host; without looks as on a GPU, where `used` may be too much."""
    monkeypatch.setattr(slots, "looks_are_free", lambda device: looks)
    backbone = build(config)
    rows = rows_of([length + 4 for length in lengths])
    state = backbone.new_state(len(rows), 64, device=CPU, dtype=torch.float32)
    state.used = 0
    prompt = backbone(sequence([row[:length] for row, length in zip(rows, lengths, strict=True)]), state)
    assert state.lengths.tolist() == lengths
    for tensor, length in zip(state.tensors["k.0"], lengths, strict=True):
        assert tensor[:, length:].abs().max() == 0
    alone = [backbone(sequence([row]))[0] for row in rows]
    for got, expected, length in zip(prompt, alone, lengths, strict=True):
        close(got[:length], expected[:length])
    for number in range(4):
        state.used = max(lengths) + number + (0 if looks else 9)
        token = torch.stack([row[length + number] for row, length in zip(rows, lengths, strict=True)])
        expected = torch.stack([outputs[length + number] for outputs, length in zip(alone, lengths, strict=True)])
        close(backbone.step(token, state), expected)


@torch.no_grad()
def test_a_step_reads_what_was_seen_and_not_all_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention's own arguments: rows of one length need no mask, and slots beyond the longest row are not read."""
    seen: list[tuple[int, bool]] = []
    real = torch.nn.functional.scaled_dot_product_attention

    def watched(query: Tensor, key: Tensor, *rest: Any, attn_mask: Tensor | None = None, **settings: Any) -> Tensor:
        seen.append((key.shape[2], attn_mask is not None))
        return real(query, key, *rest, attn_mask=attn_mask, **settings)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    backbone = build()
    for lengths, masked in (([5, 5], False), ([5, 2], True)):
        state = backbone.new_state(2, 1000, device=CPU, dtype=torch.float32)
        state.used = 0
        backbone(sequence(rows_of(lengths)), state)
        assert set(seen) == {(5, False)}
        seen.clear()
        backbone.step(torch.randn(2, 128), state)
        assert set(seen) == {(6, masked)}
        seen.clear()


@torch.no_grad()
def test_a_half_precision_state_serves_a_float32_model() -> None:
    backbone = build()
    rows = rows_of([4])
    state = backbone.new_state(1, 6, device=CPU, dtype=torch.bfloat16)
    hidden = backbone(sequence(rows), state)
    assert hidden.dtype == torch.float32
    torch.testing.assert_close(hidden, backbone(sequence(rows)), atol=0.1, rtol=0)


@torch.no_grad()
def test_a_full_state_refuses_more() -> None:
    backbone = build()
    message = "a row of {} tokens does not fit a decode state of 5"
    state = backbone.new_state(2, 5, device=CPU, dtype=torch.float32)
    with pytest.raises(ShapeError, match=message.format(6)) as caught:
        backbone(sequence(rows_of([6, 2])), state)
    assert "new_state" in str(caught.value)
    assert state.lengths.tolist() == [0, 0]
    backbone(sequence(rows_of([5, 2])), state)
    with pytest.raises(ShapeError, match=message.format(6)):
        backbone.step(torch.randn(2, 128), state)
    assert isinstance(state, DecodeState)


@torch.no_grad()
def test_packed_rows_are_their_segments_one_by_one() -> None:
    check_packing(build(LOUD), width=128)


def test_a_state_continues_one_segment_per_row() -> None:
    backbone = build()
    state = backbone.new_state(1, 8, device=CPU, dtype=torch.float32)
    with pytest.raises(ShapeError, match="continues one segment per row, not 2 segments in 1 rows"):
        backbone(packed(rows_of([3, 5])), state)


def test_reset_fills_everything_and_repeats() -> None:
    first, second = GptNeoxBackbone(TransformerTinyConfig()), GptNeoxBackbone(TransformerTinyConfig())
    for backbone in (first, second):
        for tensor in (*backbone.parameters(), *backbone.buffers()):
            tensor.data.fill_(torch.nan)
        backbone.reset_parameters(torch.Generator().manual_seed(7))
    for kind in ("named_parameters", "named_buffers"):
        pairs = zip(getattr(first, kind)(), getattr(second, kind)(), strict=True)
        for (name, tensor), (_, again) in pairs:
            assert torch.isfinite(tensor).all(), name
            assert torch.equal(tensor, again), name
    other = build(seed=8)
    assert not torch.equal(other.embed(torch.arange(4)), first.embed(torch.arange(4)))


@pytest.mark.parametrize("rotary_pct", [0.25, 1.0])
def test_rotary_frequencies_and_scheme_are_transformers(rotary_pct: float) -> None:
    config = TransformerTinyConfig(rotary_pct=rotary_pct)
    ours, theirs = build(config), GPTNeoXForCausalLM(gpt_neox_config(config)).gpt_neox
    check_same(ours.get_buffer("gpt_neox.rotary_emb.inv_freq"), theirs.rotary_emb.inv_freq, 1e-6)
    check_same(ours.get_buffer("gpt_neox.rotary_emb.original_inv_freq"), theirs.rotary_emb.original_inv_freq, 1e-6)
    for name, reference in theirs.named_parameters():
        mine = ours.get_parameter(f"gpt_neox.{name}").detach()
        if bool((reference == reference.flatten()[0]).all()):
            assert torch.equal(mine, reference), name
        else:
            assert float(mine.std()) == pytest.approx(0.02, rel=6 * mine.numel() ** -0.5), name
            assert float(reference.detach().std()) == pytest.approx(0.02, rel=6 * mine.numel() ** -0.5), name


def test_half_precision_leaves_the_rotary_frequencies_exact() -> None:
    exact = build().get_buffer("gpt_neox.rotary_emb.inv_freq")
    assert not torch.equal(exact.to(torch.bfloat16).float(), exact)  # so the next line could fail
    inside, back = build(), build()
    torch.nn.Sequential(inside).to(torch.bfloat16)
    back.bfloat16().float()
    for backbone in (inside, back):
        for name in ("inv_freq", "original_inv_freq"):
            assert torch.equal(backbone.get_buffer(f"gpt_neox.rotary_emb.{name}"), exact)
    assert inside.embed(torch.tensor([1])).dtype == torch.bfloat16


def test_parameters_match_mamba_tiny(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {}
    for name in ("mamba/tiny", "transformer/tiny"):
        component = default_registry().get("backbone", name)
        config = component.load_config()()
        with torch.device("meta"):
            backbone: Any = component.load_class()(config)
        total = sum(p.numel() for p in backbone.parameters())
        counts[name] = total - backbone.vocab_size * backbone.hidden_size  # both tie the head to the embedding
        assert backbone.hidden_size == 128
        assert backbone.vocab_size == 960
    with capsys.disabled():
        print(f"\nparameters beside the embedding: {counts}")
    assert counts["mamba/tiny"] == 233_344
    assert counts["transformer/tiny"] == 232_320
    assert abs(counts["transformer/tiny"] / counts["mamba/tiny"] - 1) < 0.02


def test_text_codec_is_that_of_mamba_tiny() -> None:
    codecs = []
    for name in ("mamba/tiny", "transformer/tiny"):
        component = default_registry().get("backbone", name)
        target: Any = component.load_class()
        codecs.append(target.text_codec(component.load_config()()))
    mamba, transformer = codecs
    assert transformer.tokenizer == mamba.tokenizer
    assert transformer.template == mamba.template
    assert transformer.max_text_tokens == mamba.max_text_tokens == 2048
    assert pickle.loads(pickle.dumps(transformer)).tokenizer == transformer.tokenizer
    base = GptNeoxBackbone.text_codec(TransformerTinyConfig(template="base"))
    assert base.template != transformer.template
    assert transformer.tokenizer.vocab_size <= GptNeoxBackbone(TransformerTinyConfig()).vocab_size


@torch.no_grad()
def test_weights_from_a_file(tmp_path: Path) -> None:
    source = build(seed=5)
    file = tmp_path / "model.safetensors"
    save_tensors(file, source.state_dict())
    for weights in (file, tmp_path):
        loaded = build(TransformerTinyConfig(weights=str(weights)))
        assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in source.state_dict().items())
    tensors = load_tensors(file)
    tensors["surplus"] = tensors.pop("gpt_neox.final_layer_norm.bias")
    save_tensors(file, tensors)
    with pytest.raises(WeightsError, match=r"(?s)final_layer_norm\.bias.*surplus"):
        build(TransformerTinyConfig(weights=str(file)))
    with pytest.raises(WeightsError, match="no such checkpoint"):
        build(TransformerTinyConfig(weights=str(tmp_path / "gone.safetensors")))
    with pytest.raises(WeightsError, match="transformer/tiny: weights: hub: no weights are published"):
        build(TransformerTinyConfig(weights="hub"))


def test_kernels_and_blocks() -> None:
    (report,) = build().kernels()
    assert (report.layer, report.kernel, report.remedy) == ("attention", "sdpa", None)
    (report,) = build(TransformerTinyConfig(attention="eager")).kernels()
    assert (report.kernel, report.remedy) == ("eager", "attention: sdpa")
    backbone = build()
    assert len(backbone.blocks()) == 2
    linear = {name.rsplit(".", 1)[-1] for name, m in backbone.named_modules() if isinstance(m, torch.nn.Linear)}
    assert linear == set(backbone.lora_targets)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_heads": 3}, "num_heads 3 do not divide hidden_size 128"),
        ({"rotary_pct": 0.1}, "gives 3 channels; it must be an even number"),
        ({"rotary_pct": 0.01}, "gives 0 channels"),
        ({"attention": "flash"}, "'sdpa' or 'eager'"),
        ({"layers": 2}, "Extra inputs are not permitted"),
    ],
)
def test_bad_configs(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TransformerTinyConfig.model_validate(values)
