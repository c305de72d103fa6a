"""lmms-eval finds the composed model through its entry points, and runs a task over local files with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import cobra_kit
from cobra_kit.cli import main
from cobra_kit.errors import CobraError

pytest.importorskip("lmms_eval.evaluator", reason="lmms-eval is not installed: pip install 'cobra-kit[lmms-eval]'")

TASK = """
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/pope_random.json}}
task: drawn_pope
test_split: test
output_type: generate_until
doc_to_visual: !function drawn_docs.visual
doc_to_text: !function drawn_docs.text
doc_to_target: label
generation_kwargs: {{max_new_tokens: 4, temperature: 0, do_sample: false}}
process_results: !function drawn_docs.results
metric_list:
  - {{metric: right, aggregation: mean, higher_is_better: true}}
metadata:
  - version: 0.0
"""
DOCS = """
from pathlib import Path

from PIL import Image


def visual(doc):
    return [Image.open(Path(__file__).parent / doc["image"])]


def text(doc, lmms_eval_specific_kwargs=None):
    return doc["text"]


def results(doc, answers):
    saysno = " no" in f" {answers[0].lower()}"
    return {"right": float(("no" if saysno else "yes") == doc["label"]), "pope": {"question_id": doc["question_id"]}}
"""
QUESTIONS = ["Is there a dog in the image?", "Is there a red cross in the image?", "Is there a cat in the image?"]


def words_of(**options: object) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    recipe = folder / "tiny.yaml"
    recipe.write_text(
        "model:\n"
        "  vision_encoder: {use: siglip/tiny, weights: none, width: 24, depth: 2, heads: 2}\n"
        "  projector: {use: mlp/gelu}\n"
        "  fusion: {use: fusion/image-first}\n"
        "  backbone: {use: mamba/tiny, d_model: 32, n_layer: 1, d_state: 4}\n"
    )
    cobra_kit.compose(recipe).save_pretrained(folder / "saved")
    return folder / "saved"


def test_a_task_over_local_files_is_answered_as_generate_answers(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for number, question in enumerate(QUESTIONS, start=1):
        Image.new("RGB", (64, 64), (80 * number, 0, 0)).save(tmp_path / f"{number}.png")
        rows.append({"question_id": number, "image": f"{number}.png", "text": question, "label": "no"})
    annotations = tmp_path / "pope_random.json"
    annotations.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "drawn_pope.yaml").write_text(TASK.format(folder=tmp_path))
    (tmp_path / "drawn_docs.py").write_text(DOCS)
    options = words_of(
        model="cobra_kit",
        model_args=f"pretrained={saved},device=cpu",
        include_path=tmp_path,
        tasks="drawn_pope",
        batch_size=2,
        output_path=tmp_path / "logs",
    )
    done = subprocess.run(
        [sys.executable, "-m", "lmms_eval", *options, "--log_samples"],
        env={**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    files = list((tmp_path / "logs").glob("*/*_samples_drawn_pope.jsonl"))
    assert len(files) == 1, done.stdout + done.stderr
    samples = sorted(map(json.loads, files[0].open()), key=lambda sample: sample["doc_id"])
    model = cobra_kit.load(saved)
    images = [tmp_path / row["image"] for row in rows]
    assert [sample["filtered_resps"] for sample in samples] == model.generate(images, QUESTIONS, max_new_tokens=4)
    words = ["score", "benchmarks/pope", "--predictions", str(files[0]), "--annotations", str(annotations), "--json"]
    assert main(words) == 0
    accuracy = json.loads(capsys.readouterr().out)["summary"]["accuracy"]
    assert accuracy == pytest.approx(sum(sample["right"] for sample in samples) / len(samples))


def test_a_loss_is_the_training_loss_without_the_end(saved: Path) -> None:
    from lmms_eval.api.instance import Instance

    from cobra_kit_lmms_eval.served import ServedModel

    served = ServedModel(pretrained=str(saved), device="cpu")
    served.task_dict["quiz"] = {"test": [{"image": Image.new("RGB", (64, 64), "red")}]}
    metadata = {"task": "quiz", "doc_id": 0, "repeats": 1}

    def ask(continuation: str) -> tuple[float, bool]:
        arguments = ("Is it red?", continuation, lambda document: [document["image"]], 0, "quiz", "test")
        [result] = served.loglikelihood([Instance("loglikelihood", arguments, 0, metadata)])
        return result

    losses = {continuation: ask(continuation)[0] for continuation in ("Yes", " Yes", "No")}
    assert losses["Yes"] == losses[" Yes"]
    chances = served.model.answer_probabilities(Image.new("RGB", (64, 64), "red"), "Is it red?", ["Yes", "No"])[0]
    assert float(chances.log()[0] - chances.log()[1]) == pytest.approx(losses["No"] - losses["Yes"], abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, r"--model_args: no `pretrained`\n +pretrained=FOLDER"),
        ({"pretrained": "x", "fast": 1}, r"--model_args: unknown: fast"),
        ({"pretrained": "x", "dtype": "float31"}, r"no dtype 'float31'"),
        ({"pretrained": "x", "batch_size": "auto"}, r"batch_size is 'auto', expected a number"),
        ({"pretrained": "nowhere"}, r"no trained model here"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object], expected: str) -> None:
    from cobra_kit_lmms_eval.served import ServedModel

    with pytest.raises(CobraError, match=expected):
        ServedModel(**arguments)
