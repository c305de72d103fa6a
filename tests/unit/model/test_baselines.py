"""The systems the paper compares with: sizes and tokens at full size on meta, and a working laptop model of each."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from cobra_kit.model import VisionLanguageModel, compose
from cobra_kit.paper import paper_table
from cobra_kit.recipe import load_recipe, resolve
from cobra_kit.text.templates import LlavaTemplate

# projector, backbone, visual tokens, the published total (in parameters) and how far ours may be from it
FULL = {
    # llava-hf/llava-1.5-7b-hf has 7,063,427,072: 64 rows more in the embedding and in the head, and no output
    # projection of the CLIP tower (1024 x 768), which is not used here either.
    "llava_v15_7b": (20_979_712, 6_738_415_616, 576, 7_063_427_072 - 2 * 64 * 4096 + 1024 * 768, 0),
    "llava_phi": (9_180_160, 2_779_683_840, 576, 3.1e9, 0.01),  # arXiv 2403.14520v4, Table 3
    "tinyllava": (9_507_840, 2_779_683_840, 729, 3.1e9, 0.04),  # arXiv 2402.14289: TinyLLaVA-3.1B
    "mobilevlm_v2": (9_205_760, 2_701_560_320, 144, 3.0e9, 0.01),  # arXiv 2402.03766: MobileVLM V2 3B
}


@pytest.mark.parametrize("name", FULL)
def test_full_size_on_the_meta_device(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    projector, backbone, tokens, published, tolerance = FULL[name]
    model = compose(f"baselines/{name}", profile="paper", device="meta")
    counts = {kind: sum(p.numel() for p in part.parameters()) for kind, part in model.parts().items()}
    with capsys.disabled():
        print(f"\n{name}: {counts}, total {sum(counts.values()):,}")
    assert (counts["projector"], counts["backbone"], counts["fusion"]) == (projector, backbone, 0)
    assert model.image_tokens().num_tokens == tokens
    assert sum(counts.values()) == pytest.approx(published, rel=tolerance)


def test_token_counts_are_those_of_the_papers_latency_table() -> None:
    table = paper_table("v4_table3_latency")
    for row, name in (("LLaVA-Phi", "llava_phi"), ("MobileVLM v2", "mobilevlm_v2")):
        assert table.row(row)["visual_tokens"] == FULL[name][2]


@pytest.fixture(scope="module", params=FULL)
def laptop(request: pytest.FixtureRequest) -> VisionLanguageModel:
    return compose(f"baselines/{request.param}")


@torch.no_grad()
def test_a_laptop_model_answers_in_its_own_prompt(laptop: VisionLanguageModel) -> None:
    images = [Image.new("RGB", (90, 40), colour) for colour in ("red", "blue")]
    answers = laptop.generate(images, ["What colour?", "<image>\nIs it blue?"], max_new_tokens=4)
    assert len(answers) == 2
    text = laptop.processor.codec.template.render([("Q", None)], for_generation=True)[0].text
    assert text == f"{LlavaTemplate.system} USER: Q ASSISTANT:"


@torch.no_grad()
def test_choices_are_ranked_by_the_token_that_training_supervises(laptop: VisionLanguageModel) -> None:
    """These templates put a blank before an answer, and `Yes` with a blank is another token."""
    image = Image.new("RGB", (64, 64), "red")
    processor = laptop.processor
    rows = [processor.row([("Is it red?", answer)], [image]) for answer in ("Yes", "No")]
    trained = [next(label for label in row.text.labels if label >= 0) for row in rows]
    assert trained != [processor.codec.tokenizer.encode(answer)[0] for answer in ("Yes", "No")]
    prompt = processor.collate([processor.row([("Is it red?", None)], [image], for_generation=True)])
    logits = laptop.backbone.logits(laptop.backbone(laptop.fuse(prompt))[0, -1])[: processor.codec.tokenizer.vocab_size]
    answered = laptop.answer_probabilities(image, "Is it red?", ["Yes", "No"])
    assert_close(answered[0], logits.softmax(-1)[trained])


def test_images_stand_in_place_of_the_marker(laptop: VisionLanguageModel) -> None:
    row = laptop.processor.row([("<image>\nWhat colour?", "red")], [Image.new("RGB", (64, 64))])
    codec = laptop.processor.codec
    before = codec.tokenizer.decode(row.text.ids[: row.text.image_slots[0]])
    assert before == f"{LlavaTemplate.system} USER: "
    kinds = list(row.layout.kind)
    assert kinds[: row.text.image_slots[0]] == [0] * row.text.image_slots[0]
    assert kinds.count(1) == laptop.image_tokens().num_tokens


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("profile", ["laptop", "paper"])
def test_every_baseline_has_its_own_template_and_in_place_images(name: str, profile: str) -> None:
    parts = resolve(load_recipe(f"baselines/{name}", profile=profile)).plain()["model"]
    templates = {
        "llava_v15_7b": "vicuna-v1",
        "llava_phi": "llava-phi",
        "tinyllava": "tinyllava-phi",
        "mobilevlm_v2": "mobilevlm-v2",
    }
    assert parts["backbone"]["template"] == templates[name]
    assert parts["fusion"]["use"] == "fusion/in-place"
    assert parts["projector"]["init"] == "recipe"


@pytest.mark.parametrize("name", ["cobra_3b", "ablation_projector", "ablation_encoder"])
def test_the_papers_own_arms_have_the_authors_seeding_at_full_size_only(name: str) -> None:
    from cobra_kit.recipe import resolve_arms

    for profile, init in (("laptop", "recipe"), ("paper", "authors")):
        recipe = load_recipe(name, profile=profile)
        models = [resolve(recipe), *resolve_arms(recipe).values()]
        assert {recipe.plain()["model"]["projector"]["init"] for recipe in models} == {init}
