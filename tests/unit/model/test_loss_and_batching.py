"""The loss of a batch is what its rows give one by one, whatever is padded, mixed, packed or chunked."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from cobra_kit.interfaces import IGNORE_INDEX
from cobra_kit.model.batch import CachedFeatures, supervised_targets
from cobra_kit.model.loss import summed_loss


def rows_of(model, image):
    row = model.processor.row
    return [
        row([("What colour is it?", "red")], [image(1)]),
        row([("Hello", "Good day to you"), ("And?", "no")], []),
        row([("Two: <image> and <image>?", "different")], [image(2), image(3, 24, 8)]),
    ]


def naive_loss(model, rows):
    """Full logits, one row at a time, cross-entropy over shifted labels."""
    total, count = 0.0, 0
    for row in rows:
        batch = model.processor.collate([row])
        logits = model.backbone.logits(model.backbone(model.fuse(batch)))[0].float()
        labels = torch.tensor(row.layout.labels)[1:]
        keep = labels != IGNORE_INDEX
        total += torch.nn.functional.cross_entropy(logits[:-1][keep], labels[keep], reduction="sum").item()
        count += int(keep.sum())
    return total / count


def test_a_mixed_batch_gives_the_mean_over_its_supervised_tokens(model, image):
    rows = rows_of(model, image)
    loss = model(model.processor.collate(rows))
    assert loss.item() == pytest.approx(naive_loss(model, rows), rel=1e-5)


def test_packed_rows_give_the_same_loss_and_gradients(model, image):
    rows = rows_of(model, image)
    batch = model.processor.collate(rows)
    packed = model.processor.collate(rows, pack=[[0, 2], [1]])
    assert packed.layout.packed
    assert not batch.layout.packed
    losses = []
    gradients = []
    for each in (batch, packed):
        model.zero_grad()
        loss = model(each)
        loss.backward()
        losses.append(loss.detach())
        gradients.append(model.backbone.mix.weight.grad.clone())
    assert_close(losses[0], losses[1])
    assert_close(gradients[0], gradients[1])


def test_no_token_predicts_across_a_segment_border(model, image):
    rows = [model.processor.caption_row("a cat", []), model.processor.caption_row("a dog", [])]
    packed = model.processor.collate(rows, pack=[[0, 1]])
    positions, _ = supervised_targets(packed.layout)
    border = len(rows[0].text.ids) - 1
    assert border not in positions.tolist()
    assert packed.num_supervised == sum(row.num_supervised for row in rows)


def test_chunks_change_neither_loss_nor_gradient():
    torch.manual_seed(0)
    head = torch.nn.Linear(6, 11)
    targets = torch.randint(0, 11, (50,))
    weights = torch.rand(50)
    results = []
    for chunk in (7, 1000):
        hidden = torch.linspace(-1, 1, 300).view(50, 6).requires_grad_()
        loss = summed_loss(hidden, targets, weights, head, chunk_tokens=chunk)
        loss.backward()
        results.append((loss.detach(), hidden.grad))
    assert_close(results[0], results[1])


def test_accumulated_micro_batches_equal_one_batch(model, image):
    rows = rows_of(model, image)
    whole = model.processor.collate(rows)
    model(whole).backward()
    expected = model.projector.linear.weight.grad.clone()
    model.zero_grad()
    for row in rows:
        model(model.processor.collate([row]), total_weight=whole.total_weight).backward()
    assert_close(model.projector.linear.weight.grad, expected)


def test_with_the_answer_as_unit_a_long_answer_weighs_what_a_short_one_does(model, image):
    turns = [("What colour is it?", "red"), ("And where?", "at the top left corner of the picture")]
    row = model.processor.row(turns, [image(1)])
    batch = model.processor.collate([row], loss_unit="answer")
    logits = model.backbone.logits(model.backbone(model.fuse(batch)))[0]
    labels = torch.tensor(row.layout.labels)[1:]
    losses = torch.nn.functional.cross_entropy(logits[:-1], labels.clamp(min=0), reduction="none")
    answers, inside = [], False
    for loss, label in zip(losses, labels, strict=True):
        if label == IGNORE_INDEX:
            inside = False
            continue
        if not inside:
            answers.append([])
        inside = True
        answers[-1].append(loss)
    assert len(answers) == 2
    assert len(answers[0]) < len(answers[1])
    assert batch.total_weight == pytest.approx(2.0)
    assert_close(model(batch), torch.stack([torch.stack(answer).mean() for answer in answers]).mean())


def test_cached_features_stand_in_for_images(model, image):
    row = model.processor.row([("What?", "red")], [image(1)])
    batch = model.processor.collate([row])
    with torch.no_grad():
        values = model.encode_images(batch.images[0]).values[0]
    cached = model.processor.row([("What?", "red")], [CachedFeatures(values, batch.images[0].shape)])
    assert_close(model(model.processor.collate([cached])), model(batch))


def test_a_row_knows_its_length_before_any_model_runs(model, image):
    row = model.processor.row([("What?", "red")], [image(2, 24, 8)])
    batch = model.processor.collate([row])
    assert batch.layout.lengths == (row.num_tokens,) == (len(row.text.ids) + 3 + 1,)
    assert batch.num_supervised == row.num_supervised


def test_a_batch_of_text_alone_runs(model):
    rows = [model.processor.row([("Hello", "you")], [])]
    assert torch.isfinite(model(model.processor.collate(rows)))


def test_frozen_parts_see_no_gradient(model, image):
    model.train_only({"projector"})
    model(model.processor.collate(rows_of(model, image))).backward()
    assert model.projector.linear.weight.grad is not None
    for part in ("vision_encoder", "fusion", "backbone"):
        assert all(p.grad is None for p in model.parts()[part].parameters()), part


def test_an_unfrozen_encoder_sees_gradients(model, image):
    model.train_only({"vision_encoder"})
    model(model.processor.collate(rows_of(model, image))).backward()
    assert model.vision_encoder.widen.weight.grad.abs().sum() > 0


def test_an_image_that_rows_share_is_encoded_and_projected_once_for_answers(model, image):
    first, second, third = (
        model.processor.preprocess(image(seed, width=width)) for seed, width in ((1, 16), (2, 16), (3, 24))
    )
    shown = [first, second, first, third, third]

    def batch_of(images, **options):
        rows = [model.processor.row([("what is it?", "red")], [each]) for each in images]
        return model.processor.collate(rows, **options)

    shared = batch_of(shown, for_generation=True)
    assert sorted((group.count, len(group.indices)) for group in shared.images) == [(1, 2), (2, 3)]
    apart = batch_of([replace(each) for each in shown], for_generation=True)
    assert sorted(group.count for group in apart.images) == [2, 3]
    with torch.no_grad():
        assert_close(model.fuse(shared).embeddings, model.fuse(apart).embeddings)
    training = batch_of(shown)  # every row's own image, as gradients are summed in that order
    assert sorted(group.count for group in training.images) == [2, 3]
