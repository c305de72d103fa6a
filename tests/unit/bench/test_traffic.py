"""The bytes that a step must move, against what the sizes say."""

from __future__ import annotations

import pytest
import torch

from cobra_kit.bench.models import build
from cobra_kit.bench.subjects import subjects_of
from cobra_kit.bench.traffic import traffic


@pytest.fixture(scope="module")
def models():
    _, subjects = subjects_of("ablation_backbone")
    cpu = torch.device("cpu")
    return {subject.name: build(subject, device=cpu, dtype=torch.float32, weights="random") for subject in subjects}


def test_mamba_moves_its_weights_once_and_its_state_twice(models):
    backbone = models["mamba"].backbone
    moved = traffic(backbone, rows=3, context=500, dtype=torch.float32)
    weights = sum(p.numel() * 4 for p in backbone.parameters())  # the head is the embedding: read whole
    config = models["mamba"].recipe.parts["backbone"].config
    state = config.n_layer * config.d_inner * (config.d_state + config.d_conv) * 4
    assert moved.weights == weights
    assert moved.cache == 0
    assert moved.state == pytest.approx(2 * 3 * state, rel=0.05)
    assert moved == traffic(backbone, rows=3, context=5, dtype=torch.float32)


def test_a_transformer_reads_its_cache(models):
    backbone = models["transformer"].backbone
    size = backbone.cache_shape
    moved = traffic(backbone, rows=2, context=99, dtype=torch.float32)
    assert moved.state == 0
    assert moved.cache == 2 * 2 * size.layers * size.heads * size.head_dim * 100 * 4


def test_a_table_that_only_looks_up_is_not_read(models):
    class Untied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(1000, 8)
            self.head = torch.nn.Linear(8, 1000, bias=False)

        def embed(self, ids):
            return self.table(ids)

        def logits(self, hidden):
            return self.head(hidden)

        def new_state(self, batch, max_length, *, device, dtype):
            return models["mamba"].backbone.new_state(batch, max_length, device=device, dtype=dtype)

    assert traffic(Untied(), rows=1, context=1, dtype=torch.float32).weights == 1000 * 8 * 4
