"""transformers' own Trainer on an exported model: a resumed run is the undisturbed one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import cobra_kit
from cobra_kit.errors import CobraError
from cobra_kit.exchange import export_model
from cobra_kit.exchange.huggingface.model import CobraKitModel
from cobra_kit.exchange.huggingface.processor import CobraKitProcessor

pytest.importorskip("accelerate", reason="transformers.Trainer needs accelerate")

IMAGE = Image.linear_gradient("L").convert("RGB")
EXAMPLES = [
    {"images": [IMAGE, None, IMAGE.rotate(90)][i % 3], "text": f"What is {i}?", "answer": "this " * (1 + i % 4)}
    for i in range(8)
]


@pytest.fixture
def exported(model, tmp_path) -> Path:
    export_model(model, format="huggingface", out=tmp_path / "exported")
    return tmp_path / "exported"


def trainer(exported: Path, out: Path, *, processor: bool = False, **settings):
    from transformers import Trainer, TrainingArguments

    read = CobraKitProcessor.from_pretrained(exported)
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=4,
        save_steps=2,
        logging_steps=1,
        learning_rate=0.02,
        per_device_train_batch_size=2,
        remove_unused_columns=False,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        **settings,
    )
    return Trainer(
        model=CobraKitModel.from_pretrained(exported),
        args=arguments,
        train_dataset=EXAMPLES,
        eval_dataset=EXAMPLES[:4],
        data_collator=read.training_batch,
        processing_class=read if processor else None,
    )


def losses(run) -> list[float]:
    return [entry["loss"] for entry in run.state.log_history if "loss" in entry]


@pytest.mark.parametrize("settings", [{}, {"gradient_accumulation_steps": 2}], ids=["plain", "accumulated"])
def test_a_resumed_run_equals_the_undisturbed_one(exported, tmp_path, settings):
    whole = trainer(exported, tmp_path / "whole", **settings)
    whole.train()
    first = losses(whole)
    assert len(first) == 4
    assert first[-1] < first[0]
    resumed = trainer(exported, tmp_path / "whole", **settings)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    assert losses(resumed) == pytest.approx(first, rel=1e-5)
    for (name, a), b in zip(whole.model.state_dict().items(), resumed.model.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, msg=name)
    loaded = cobra_kit.load(tmp_path / "whole" / "checkpoint-4")
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, whole.model.model.state_dict()[name], msg=name)


def test_the_best_model_is_loaded_at_the_end(exported, tmp_path):
    run = trainer(
        exported,
        tmp_path / "run",
        processor=True,
        eval_strategy="steps",
        eval_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=True,  # the worse one, which comes first
    )
    run.train()
    assert run.state.best_model_checkpoint.endswith("checkpoint-2")
    best = cobra_kit.load(tmp_path / "run" / "checkpoint-2").state_dict()
    last = cobra_kit.load(tmp_path / "run" / "checkpoint-4").state_dict()
    now = run.model.model.state_dict()
    assert all(torch.equal(now[name], best[name]) for name in now)
    assert any(not torch.equal(now[name], last[name]) for name in now)
    assert CobraKitProcessor.from_pretrained(tmp_path / "run" / "checkpoint-2")(text="What?")["input_ids"].numel()


def test_accumulated_losses_do_not_depend_on_how_batches_are_cut(exported, tmp_path):
    cut = trainer(exported, tmp_path / "a", gradient_accumulation_steps=2, eval_strategy="no")
    cut.args.per_device_train_batch_size = 2
    cut.train()
    whole = trainer(exported, tmp_path / "b")
    whole.args.per_device_train_batch_size = 4
    whole._train_batch_size = 4
    whole.train()
    assert losses(cut) == pytest.approx(losses(whole), rel=1e-4)


def test_trainer_s_dropped_columns_are_said(exported, tmp_path):
    run = trainer(exported, tmp_path / "run")
    run.args.remove_unused_columns = True
    with pytest.raises(CobraError, match=r"an example needs text and answer, and has nothing\n.*remove_unused_columns"):
        run.train()


def test_a_damaged_checkpoint_does_not_resume(exported, tmp_path):
    from safetensors.torch import load_file, save_file

    trainer(exported, tmp_path / "run").train()
    file = tmp_path / "run" / "checkpoint-2" / "model.safetensors"
    tensors = load_file(file)
    tensors.pop("backbone.backbone.norm_f.weight")
    save_file({f"other.{name}" if "projector" in name else name: value for name, value in tensors.items()}, file)
    with pytest.raises(CobraError) as caught:
        trainer(exported, tmp_path / "run").train(resume_from_checkpoint=str(file.parent))
    assert "the state does not fit the model, one to one" in str(caught.value)
    assert "7 missing: projector." in str(caught.value)
    assert json.loads((file.parent / "config.json").read_text())["model_type"] == "cobra_kit"
