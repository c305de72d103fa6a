"""What a feature cache's key holds: the weights that are read and the code that runs, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_recipe import RECIPE
from toy_source import ToySource

from cobra_kit import _plugins
from cobra_kit.data import weights_read
from cobra_kit.data.features import FeatureCache
from cobra_kit.data.weights_read import poisoned, unread_weights
from cobra_kit.interfaces import VisualTokens
from cobra_kit.model import compose

TESTS = Path(__file__).parents[2]
TOY = TESTS / "toy_plugin.py"
CHILD = '''
class MoreEncoder(ToyEncoder):
    """Loads its weights, but for a head that no checkpoint holds."""

    def __init__(self, config):
        super().__init__(config)
        self.head = nn.Linear(config.width, config.width)

    def load_pretrained(self):
        with torch.no_grad():
            self.widen.weight.fill_(0.5)
            self.widen.bias.fill_(0.25)

    def forward(self, images, shapes):
        tokens = super().forward(images, shapes).values
        BODY
        return VisualTokens(tokens, shapes)


class ToyProjector('''
BODIES = {
    "a head that never runs": "pass",
    "where an image is dark": "tokens = tokens if images['pixels'].mean() > 5 else self.head(tokens)",
    "for some sizes": "tokens = self.head(tokens) if shapes[0].num_tokens == 4 else tokens",
    "out of torch's sight": """if tokens.device.type != 'meta':
            tokens = tokens + torch.from_numpy(self.head.bias.detach().numpy().copy())""",
}


@pytest.fixture
def build(tmp_path):
    """Returns a function that composes toy models whose encoder has a head, which some images or none need."""

    def make(body, seed=3):
        text = TOY.read_text().replace("class ToyProjector(", CHILD.replace("BODY", BODIES[body]).lstrip("\n"))
        (tmp_path / "toy_plugin.py").write_text(text.replace(':ToyEncoder"', ':MoreEncoder"'))
        (tmp_path / "toy.yaml").write_text(RECIPE)
        _plugins.configure(files=[tmp_path / "toy_plugin.py"])
        return compose(tmp_path / "toy.yaml", seed=seed)

    yield make
    _plugins.configure()


def cache(model, folder):
    source = ToySource(5)
    return FeatureCache.of(model, source, source.image_ids("train"), folder)


def test_weights_that_never_run_are_found(build, model):
    headed = build("a head that never runs")
    unread = unread_weights(headed.vision_encoder, headed.processor.preprocess)
    assert unread == {"head.weight", "head.bias"}
    assert unread_weights(model.vision_encoder, model.processor.preprocess) == frozenset()


def test_what_an_encoder_keeps_between_calls_is_left_alone(build):
    model = build("a head that never runs")
    forward = type(model.vision_encoder).forward

    def keeping(self, images, shapes):
        self.grid = getattr(self, "grid", images["pixels"].new_zeros(3))
        return forward(self, images, shapes)

    type(model.vision_encoder).forward = keeping
    model.vision_encoder.widen.eval()
    modes = [module.training for module in model.vision_encoder.modules()]
    assert unread_weights(model.vision_encoder, model.processor.preprocess) == {"head.weight", "head.bias"}
    assert not hasattr(model.vision_encoder, "grid")
    assert [module.training for module in model.vision_encoder.modules()] == modes


def test_an_encoder_is_watched_once_and_again_when_it_was_changed(build, monkeypatch):
    """Every split of every run asks; what was seen is only of use while the encoder is what it was."""
    model = build("a head that never runs")
    encoder, preprocess = model.vision_encoder, model.processor.preprocess
    watch, watched = weights_read._watch, []
    monkeypatch.setattr(weights_read, "_watch", lambda *asked: watched.append(asked) or watch(*asked))
    for _ in range(3):
        assert unread_weights(encoder, preprocess) == {"head.weight", "head.bias"}
    with torch.no_grad():
        encoder.widen.weight.add_(1)  # other values, read as before
    encoder.eval()
    unread_weights(encoder, preprocess)
    assert len(watched) == 1
    own = encoder.forward
    encoder.forward = lambda images, shapes: VisualTokens(encoder.head(own(images, shapes).values), shapes)
    unread_weights(encoder, preprocess)
    encoder.grid = (4, 4)
    unread_weights(encoder, preprocess)
    encoder.widen = torch.nn.Linear(3, encoder.width)
    unread_weights(encoder, preprocess)
    unread_weights(encoder, lambda image: preprocess(image))
    assert len(watched) == 5


def test_a_weight_of_two_names_is_read_under_both(build):
    model = build("a head that never runs")
    model.vision_encoder.copy = model.vision_encoder.widen
    assert unread_weights(model.vision_encoder, model.processor.preprocess) == {"head.weight", "head.bias"}


def test_seeds_share_features_where_only_such_weights_differ(build, tmp_path):
    first = cache(build("a head that never runs", 3), tmp_path / "features")
    second = build("a head that never runs", 4)
    assert cache(second, tmp_path / "features").folder == first.folder
    with torch.no_grad():
        second.vision_encoder.widen.bias[0] += 1
    assert cache(second, tmp_path / "features").folder != first.folder


@pytest.mark.parametrize("body", list(BODIES)[1:])
def test_a_weight_that_is_read_after_all_is_in_the_key(build, tmp_path, body):
    """Features must be those of the own weights also where no trace shows which weights they take."""
    caches = []
    for seed in (3, 4):
        model = build(body, seed)
        before = {name: value.clone() for name, value in model.vision_encoder.state_dict().items()}
        caches.append(cache(model, tmp_path / "features"))
        assert all(torch.equal(value, before[name]) for name, value in model.vision_encoder.state_dict().items())
        prepared = model.processor.preprocess(ToySource(5).image("p1.png"))
        live = model.vision_encoder({k: t[None] for k, t in prepared.tensors.items()}, (prepared.shape,)).values[0]
        reread = cache(model, tmp_path / "features")
        torch.testing.assert_close(reread.load("p1.png").values.float(), live.detach(), rtol=2e-3, atol=1e-3)
        assert reread.folder == caches[-1].folder
    assert caches[0].folder != caches[1].folder


def test_poisoned_weights_come_back_after_an_error():
    module = torch.nn.Linear(3, 2)
    before = module.weight.detach().clone()

    def fail():
        with poisoned(module, ["weight"]):
            assert module.weight.isnan().all()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize("encoder", ["dinosiglip/tiny", "siglip/tiny", "dinov2/tiny"])
def test_the_packaged_encoders_have_one_cache_for_all_seeds(encoder, tmp_path):
    recipe, use = TESTS.parent / "recipes" / "cobra_tiny.yaml", f"model.vision_encoder={{use: {encoder}}}"
    folders = {cache(compose(recipe, overrides=[use], seed=seed), tmp_path).folder for seed in (1, 2)}
    assert len(folders) == 1
    random = [use, "model.vision_encoder.weights=none"]
    folders |= {cache(compose(recipe, overrides=random, seed=seed), tmp_path).folder for seed in (1, 2)}
    assert len(folders) == 3, "random weights differ between seeds"


def test_an_edited_plugin_file_has_features_of_its_own(build, tmp_path):
    first = cache(build("a head that never runs"), tmp_path / "features")
    assert cache(build("a head that never runs"), tmp_path / "features").folder == first.folder
    file = tmp_path / "toy_plugin.py"
    file.write_text(file.read_text().replace("avg_pool2d", "max_pool2d"))
    _plugins.configure(files=[file])
    assert cache(compose(tmp_path / "toy.yaml"), tmp_path / "features").folder != first.folder


PRINT_KEY = """
import sys
from cobra_kit.data.keys import preparation_key
from cobra_kit.model import compose
from toy_source import ToySource
print(preparation_key(compose(sys.argv[1]), ToySource(1), []))
"""


def test_an_edited_package_of_one_version_has_another_key_in_the_next_process(tmp_path):
    package, info = tmp_path / "my_encoders", tmp_path / "my_encoders-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-encoders\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cobra_kit.v1]\ntoy-plugin = my_encoders.plugin\n")
    (package / "__init__.py").touch()
    (package / "plugin.py").write_text(TOY.read_text())
    (package / "helper.py").write_text("scale = 1\n")
    (tmp_path / "toy.yaml").write_text(RECIPE)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{TESTS}"}

    def key():
        command = [sys.executable, "-c", PRINT_KEY, str(tmp_path / "toy.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = key()
    (package / "README.md").write_text("words\n")
    assert key() == first
    (package / "helper.py").write_text("scale = 2\n")
    assert key() != first
