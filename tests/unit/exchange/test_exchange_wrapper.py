"""Every call that transformers' users make acts, or is refused by name."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import cobra_kit
from cobra_kit.errors import CobraError, ShapeError, WeightsError
from cobra_kit.exchange import export_model
from cobra_kit.exchange.huggingface.model import CobraKitConfig, CobraKitModel
from cobra_kit.exchange.huggingface.options import size_in_bytes
from cobra_kit.exchange.huggingface.processor import CobraKitProcessor

IMAGE = Image.linear_gradient("L").convert("RGB")
EXAMPLES = [{"images": IMAGE, "text": "What is it?", "answer": "this and that"}, {"text": "Who?", "answer": "we"}]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    from exchange_models import trained, write_recipe

    folder = tmp_path_factory.mktemp("wrapper")
    export_model(trained(write_recipe(folder)), format="huggingface", out=folder / "exported")
    return folder / "exported"


@pytest.fixture
def wrapper(exported):
    return CobraKitModel.from_pretrained(exported)


@pytest.fixture(scope="module")
def processor(exported):
    return CobraKitProcessor.from_pretrained(exported)


def test_save_pretrained_writes_the_weights_it_is_given(wrapper, tmp_path):
    moved = {name: value + 1 if value.is_floating_point() else value for name, value in wrapper.state_dict().items()}
    for folder, state in (
        ("wrapper's names", moved),
        ("the file's names", {name.removeprefix("model."): value for name, value in moved.items()}),
        ("under DDP", {f"module.{name}": value for name, value in moved.items()}),
    ):
        wrapper.save_pretrained(tmp_path / folder, state_dict=state)
        loaded = cobra_kit.load(tmp_path / folder).state_dict()
        assert all(torch.equal(loaded[name], moved[f"model.{name}"]) for name in loaded), folder
    with pytest.raises(WeightsError, match=r"save_pretrained: the state does not fit(?s:.*)1 unknown: x"):
        wrapper.save_pretrained(tmp_path / "no", state_dict={"x": torch.ones(1)})
    assert not (tmp_path / "no").exists()


REFUSED = {
    "push_to_hub": True,
    "variant": "fp16",
    "safe_serialization": False,
    "save_function": print,
    "distributed_checkpoint": True,
    "anything": 1,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_save_pretrained_does_not_do_is_refused_by_name(wrapper, tmp_path, name):
    with pytest.raises(CobraError, match=f"save_pretrained of a cobra-kit model does not take {name}"):
        wrapper.save_pretrained(tmp_path / "saved", **{name: REFUSED[name]})
    assert not (tmp_path / "saved").exists()


def test_the_other_words_of_save_pretrained(wrapper, tmp_path):
    wrapper.save_pretrained(tmp_path / "saved", is_main_process=False)
    assert not (tmp_path / "saved").exists()
    with pytest.raises(CobraError, match=r"the weights are [\d,]+ bytes, over max_shard_size 1KB"):
        wrapper.save_pretrained(tmp_path / "saved", max_shard_size="1KB")
    with pytest.raises(CobraError, match="max_shard_size is no size: 'much'"):
        wrapper.save_pretrained(tmp_path / "saved", max_shard_size="much")
    wrapper.save_pretrained(tmp_path / "saved", safe_serialization=True, max_shard_size="5GB", token="x", variant=None)
    assert cobra_kit.load(tmp_path / "saved").components == wrapper.model.components
    assert (size_in_bytes("1.5 GB"), size_in_bytes("10KiB"), size_in_bytes(7)) == (1.5e9, 1e4, 7)


def test_load_state_dict_takes_what_was_saved_and_nothing_less(wrapper, exported):
    file = load_file(exported / "model.safetensors")
    before = {name: value.clone() for name, value in wrapper.state_dict().items()}
    with torch.no_grad():
        for parameter in wrapper.parameters():
            parameter.zero_()
    for state in (file, before):
        assert wrapper.load_state_dict(state, strict=False) == ([], [])
        assert all(torch.equal(value, before[name]) for name, value in wrapper.state_dict().items())
    head = "model.backbone.lm_head.weight"
    for wrong, words in (
        ({name: value for name, value in file.items() if "norm_f" not in name}, "1 missing: backbone.backbone.norm_f"),
        ({**before, head: before[head] + 1}, "1 tied in the model and different here: backbone.lm_head.weight"),
        ({**file, "head.weight": torch.ones(1)}, "1 unknown: head.weight"),
        ({**file, "backbone.backbone.norm_f.weight": torch.ones(1)}, "1 of another shape: backbone.backbone.norm_f"),
    ):
        with pytest.raises(WeightsError) as caught:
            wrapper.load_state_dict(wrong, strict=False)
        assert words in str(caught.value)


def test_labels_give_the_loss(wrapper, processor):
    inputs = processor.training_batch(EXAMPLES)
    expected = wrapper.model(inputs["batch"])
    assert torch.equal(wrapper(batch=inputs["batch"]).loss, expected)
    assert torch.equal(wrapper(**inputs).loss, expected)
    logits = wrapper(**inputs).logits
    labels = inputs["labels"]
    by_hand = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    torch.testing.assert_close(expected, by_hand)
    assert isinstance(wrapper(**inputs, return_dict=False), tuple)
    torch.testing.assert_close(
        wrapper(**inputs, num_items_in_batch=2 * inputs["batch"].num_supervised).loss, expected / 2
    )
    fewer = labels.clone()
    fewer[1] = -100
    torch.testing.assert_close(
        wrapper(batch=inputs["batch"], labels=fewer).loss,
        nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), fewer[:, 1:].flatten(), ignore_index=-100),
    )


def test_labels_of_text_tokens_stand_where_the_tokens_stand(wrapper, processor):
    inputs = processor(images=[IMAGE, None], text=["What is it?", "Who?"])
    assert wrapper(**inputs).loss is None
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    labels[:, 0] = -100  # in the text-only row nothing stands before it
    output = wrapper(**inputs, labels=labels)
    layout = inputs["batch"].layout
    rows, ends = [], layout.lengths
    for row in range(2):
        text = int(inputs["attention_mask"][row].sum())
        predicting = output.logits[row, ends[row] - text : ends[row] - 1]  # images come first
        rows.append(nn.functional.cross_entropy(predicting, labels[row, 1:text], reduction="sum"))
    torch.testing.assert_close(output.loss, sum(rows) / (labels != -100).sum())
    with pytest.raises(ShapeError, match=r"labels are \[2, 3\], but the batch is"):
        wrapper(**inputs, labels=torch.zeros(2, 3, dtype=torch.int64))


@pytest.mark.parametrize("name", ["input_ids", "attention_mask"])
@pytest.mark.parametrize("change", [torch.zeros_like, lambda t: t[:1], lambda t: t[:, :1], lambda t: t.flip(0)])
def test_a_tensor_beside_the_batch_is_not_ignored(wrapper, processor, name, change):
    inputs = processor(text=["What is it?", "Who?"])
    inputs[name] = change(inputs[name])
    for function in (wrapper.forward, wrapper.generate):
        with pytest.raises(ShapeError, match=rf"{name} is (\[\d, \d+\], but|not what the batch was made of)"):
            function(**inputs)


def test_what_forward_does_not_do_is_refused_by_name(wrapper, processor):
    inputs = processor.training_batch(EXAMPLES)
    for option in ({"output_hidden_states": True}, {"pixel_values": torch.ones(1)}, {"past_key_values": 1}, {"x": 0}):
        with pytest.raises(CobraError, match=f"forward of a cobra-kit model does not take {next(iter(option))}"):
            wrapper(**inputs, **option)
    with pytest.raises(CobraError, match="forward needs the inputs that the folder's processor makes"):
        wrapper(input_ids=torch.ones(1, 3, dtype=torch.int64))


def test_what_generate_is_configured_to_do_is_not_ignored(wrapper, processor):
    inputs = processor(text="What?")
    eos = processor.tokenizer.eos_id
    wrapper.generate(**inputs, max_new_tokens=1, eos_token_id=eos, pad_token_id=eos, streamer=None)
    with pytest.raises(CobraError, match="does not take eos_token_id"):
        wrapper.generate(**inputs, eos_token_id=eos + 1)
    with pytest.raises(CobraError, match="max_new_tokens must be a number of at least 1, not 0"):
        wrapper.generate(**inputs, max_new_tokens=0)
    wrapper.generation_config.do_sample = True
    wrapper.generation_config.temperature = 0.5
    with pytest.raises(CobraError, match=r"not take generation_config\.do_sample, generation_config\.temperature"):
        wrapper.generate(**inputs)


METHODS = {
    "init_weights": (),
    "resize_token_embeddings": (10,),
    "set_input_embeddings": (nn.Embedding(2, 2),),
    "set_output_embeddings": (nn.Linear(2, 2),),
    "set_attn_implementation": ("eager",),
    "set_decoder": (nn.Identity(),),
    "set_encoder": (nn.Identity(),),
    "set_use_kernels": (True,),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_that_cannot_act_say_so(wrapper, name):
    with pytest.raises(CobraError, match=f"a cobra-kit model has no {name}\n"):
        getattr(wrapper, name)(*METHODS[name])


def test_methods_that_act(wrapper, exported):
    assert wrapper.get_input_embeddings() is wrapper.model.backbone.backbone.embedding
    assert wrapper.get_output_embeddings() is wrapper.model.backbone.lm_head
    assert wrapper.get_decoder() is wrapper.model.backbone
    assert wrapper.get_encoder("image") is wrapper.model.vision_encoder
    with pytest.raises(CobraError, match="no encoder of audio"):
        wrapper.get_encoder("audio")
    for name in ("gradient_checkpointing_enable", "activation_checkpointing_enable"):
        with pytest.raises(CobraError, match="has no gradient_checkpointing"):
            getattr(wrapper, name)()
    with pytest.raises(CobraError, match=r"not built from its config\.json alone"):
        CobraKitModel._from_config(CobraKitConfig.from_pretrained(exported))  # what AutoModel.from_config calls


def test_the_processor_refuses_by_name(processor, exported, tmp_path):
    processor(text="What?", padding=True, add_special_tokens=True, truncation=None)
    for option in ({"padding": "max_length"}, {"max_length": 5}, {"truncation": True}, {"videos": 1}):
        with pytest.raises(
            CobraError, match=f"calling the processor of a cobra-kit model does not take {next(iter(option))}"
        ):
            processor(text="What?", **option)
    with pytest.raises(CobraError, match="leaves special tokens out"):
        processor.batch_decode([[1]], skip_special_tokens=False)
    with pytest.raises(CobraError, match="from_pretrained of a cobra-kit model does not take size"):
        CobraKitProcessor.from_pretrained(exported, size=3)
    with pytest.raises(CobraError, match="an example of a cobra-kit model does not take label"):
        processor.training_batch([{**EXAMPLES[0], "label": 1}])
    with pytest.raises(CobraError, match="an example needs text and answer, and has text"):
        processor.training_batch([{"text": "What?"}])


def test_the_processor_is_saved(processor, exported, tmp_path):
    processor.save_pretrained(tmp_path / "saved")
    read = CobraKitProcessor.from_pretrained(tmp_path / "saved")
    assert torch.equal(read(text="What?")["input_ids"], processor(text="What?")["input_ids"])
    processor.save_pretrained(exported)  # its own files are there already
    (tmp_path / "saved" / "recipe.yaml").write_text("another")
    with pytest.raises(CobraError, match=r"the folder holds another model's recipe\.yaml"):
        processor.save_pretrained(tmp_path / "saved")
    with pytest.raises(CobraError, match="was not read from an exported folder"):
        CobraKitProcessor(processor.processor).save_pretrained(tmp_path / "new")
