"""Studies and journals that a stranger wrote: whatever opens them, nothing outside is touched and all is told."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet
from hostile_cases import SECRET, Ended, run_hostile
from miniature import RECIPE

from cobra_kit.files import file_digest, write_sealed_json
from cobra_kit.files.checksums import with_checksum

FORMATS = ("html", "markdown", "csv", "latex", "json", "text")
STATUS, PAGE = ("status", "study"), ("report", "study")
RUN = ("run", "miniature.yaml", "--out", "study")
PRECIOUS = '{"a": 1}\nprecious, and without a line end'
Run = Callable[..., Ended]


@pytest.fixture
def study(trained: Path, tmp_path: Path) -> Path:
    """A copy of a study that the case may spoil, in a folder with files beside it that are nobody's to change."""
    here = tmp_path / "here"
    shutil.copytree(trained, here)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.jsonl").write_text(PRECIOUS)
    return here / "study"


@pytest.fixture
def run(study: Path, context: ForkServerContext, cache: Path) -> Run:
    """Runs a command beside the study and checks what holds for all; `run` may write into the study alone."""

    def run(*arguments: str, **options: Any) -> Ended:
        writes = {"run": ("study/",), "report": ("study/report.html",)}.get(arguments[0], ())
        ended = run_hostile(
            study.parent,
            *arguments,
            may_write=writes,
            context=context,
            environment={"COBRA_KIT_CACHE": str(cache)},
            **options,
        )
        assert ended.status in (0, 1, 2, 3), ended.err
        assert ended.status == 0 or "error: " in ended.err or "failed" in ended.err
        assert "--debug" not in ended.err, f"no advice: {ended.err}"
        return ended

    return run


def every(cases: Iterable[str], others: Iterable[str], *, fast: int) -> list[ParameterSet]:
    """Returns all pairs; all but each of so many are slow tests, and each case and each other has a fast one."""
    return [
        pytest.param(case, other, marks=() if (row + column) % fast == 0 else pytest.mark.slow)
        for row, case in enumerate(cases)
        for column, other in enumerate(others)
    ]


def rewrite(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes a file of a study and writes its digest anew, as whoever means harm would."""
    content = json.loads(file.read_text())
    change(content)
    content.pop("sha256", None)
    write_sealed_json(file, content)


def put_in_place(path: Path, kind: str) -> None:
    """Puts something in the place of a file."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    outside = path.parents[next(n for n, parent in enumerate(path.parents) if parent.name == "here") + 1] / "out"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "sparse":
        path.touch()
        os.truncate(path, 1 << 40)
    elif kind == "empty":
        path.touch()
    else:
        targets: dict[str, str | Path] = {
            "device": "/dev/zero",
            "circle": path.name,
            "outside": outside / "precious.jsonl",
        }
        path.symlink_to(targets[kind])


def test_a_study_that_nobody_spoilt_is_read(study: Path, run: Run) -> None:
    for form in FORMATS:
        assert run(*PAGE, "--format", form).status == 0
    assert run(*STATUS).status == 0
    assert "finished before" in run(*RUN).err


PATHS = {
    "absolute": "/etc/passwd",
    "above": "../../../../out/precious.jsonl",
    "above_within": "scores/test/../../../../../../out/precious.jsonl",
    "device": "/dev/zero",
    "environment": "/proc/self/environ",
    "nul": "x\0y",
    "long": "a" * 400,
    "escapes": "\x1b[31mred",
    "folder": "scores",
    "nothing": "",
    "number": 5,
}


@pytest.mark.parametrize("case", PATHS)
def test_scores_that_name_a_path_are_refused_and_made_again(case: str, study: Path, run: Run) -> None:
    def name(content: dict[str, Any]) -> None:
        for entry in content["test"].values():
            entry.update(file=PATHS[case], digest=None)

    rewrite(study / "runs" / "mlp-s7" / "scores.json", name)
    run(*STATUS)
    refused = [run(*PAGE, "--format", form) for form in ("html", "csv")]
    assert all(ended.status == 1 and "mlp-s7/scores" in ended.err for ended in refused)
    assert run(*RUN).status == 0  # what the error advises
    assert run(*PAGE).status == 0


@pytest.fixture
def server() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine, and who has connected to it."""
    listening, callers = socket.create_server(("127.0.0.1", 0)), []

    def accept() -> None:
        while True:
            try:
                connection, address = listening.accept()
            except OSError:  # closed
                return
            callers.append(address)
            connection.close()

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()[1], callers
    listening.close()


URLS = {
    "password": f"postgresql://u:{SECRET}@127.0.0.1:PORT/db",
    "password_in_query": f"postgresql://127.0.0.1:PORT/db?password={SECRET}",
    "slash_in_password": f"postgresql://u:a/b@{SECRET}@127.0.0.1:PORT/db",
    "host_in_query": "postgresql+psycopg2://h/db?host=127.0.0.1&port=PORT&passfile=/etc/shadow",
    "mysql": f"mysql+pymysql://u:{SECRET}@127.0.0.1:PORT/db",
    "file_outside": "sqlite:///../out/evil.db",
    "no_database": "http://127.0.0.1:PORT/",
    "escapes": "postgresql://\x1b[31m@127.0.0.1:PORT/x",
}


@pytest.mark.parametrize("case", URLS)
def test_a_database_that_a_manifest_names_is_not_connected_to(
    case: str, study: Path, run: Run, server: tuple[int, list[object]]
) -> None:
    url = URLS[case].replace("PORT", str(server[0]))
    rewrite(study / "manifest.json", lambda content: content.update(storage=url))
    ended = run(*STATUS)
    assert ended.status == 1
    assert "--storage" in ended.err
    for form in ("html", "csv"):
        run(*PAGE, "--format", form)
    run(*RUN)
    assert SECRET not in (study / "report.html").read_text()
    assert not server[1]


KEYS = ("study", "profile", "arms", "seeds", "identity", "files", "journal")
NAMES = {
    "path": "../../x",
    "long": "a" * 400,
    "escapes": "\x1b]0;title\x07",
    "shell": "$(touch pwned)",
    "option": "--plugin=x",
    "separators": "a; touch pwned",
    "lines": "a\nerror: b",
    "nul": "a\0b",
    "bidirectional": "\u202egnp",
    "html": "<script>alert(1)</script>",
    "list": ["x"],
    "huge": 10**40,
}


@pytest.mark.parametrize(("case", "key"), every(NAMES, KEYS, fast=4))
def test_a_name_in_a_manifest_is_no_path_and_no_command(case: str, key: str, study: Path, run: Run) -> None:
    name = NAMES[case]
    values = {"arms": [name, "mlp"], "seeds": [name], "files": {"x": name}}
    rewrite(study / "manifest.json", lambda content: content.update({key: values.get(key, name)}))
    for command in (STATUS, PAGE, RUN):
        ended = run(*command)
        assert ended.status == 0 or "study/manifest.json" in ended.err or "--fresh" in ended.err


JOURNAL: dict[str, bytes | dict[str, Any]] = {
    "unknown_operation": {"op_code": 99},
    "operation_is_a_list": {"op_code": [1]},
    "operation_is_a_text": {"op_code": "0"},
    "operation_is_huge": {"op_code": 10**80},
    "list": b"[1, 2, 3]",
    "null": b"null",
    "nuls": b"\0" * 4096,
    "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "many_digits": b'{"op_code":' + b"9" * 5000 + b"}",
    "nan": b'{"op_code":NaN}',
    "pickled": {
        "op_code": 8,
        "trial_id": 0,
        "user_attr": {"py/reduce": [{"py/function": "os.system"}, ["touch pwned"]]},
    },
    "yaml": b"!!python/object/apply:os.system ['touch pwned']",
    "trial_is_huge": {"op_code": 8, "trial_id": 10**30, "user_attr": {"cobra_kit:name": "x"}},
    "name_is_a_path": {"op_code": 8, "trial_id": 0, "user_attr": {"cobra_kit:name": "../../out"}},
    "run_is_a_path": {"op_code": 8, "trial_id": 0, "user_attr": {"cobra_kit:run": "../../../out"}},
    "name_escapes": {"op_code": 8, "trial_id": 0, "user_attr": {"cobra_kit:name": "\x1b[31m"}},
    "error_escapes": {"op_code": 8, "trial_id": 0, "user_attr": {"cobra_kit:error": "\x1b]0;x\x07\u202e" * 10_000}},
    "lease_is_a_list": {"op_code": 8, "trial_id": 0, "user_attr": {"cobra_kit:lease": [1]}},
    "study_is_deleted": {"op_code": 1, "study_id": 0},
    "metrics_are_escapes": {"op_code": 3, "study_id": 0, "system_attr": {"study:metric_names": ["\x1b[31m", 5]}},
    "a_trial_of_no_arm": {
        "op_code": 4,
        "study_id": 0,
        "datetime_start": None,
        "state": 4,
        "value": None,
        "values": None,
        "distributions": {},
        "params": {},
        "user_attrs": {"cobra_kit:run": "evil-s7", "cobra_kit:name": "evil-s7"},
        "system_attrs": {"fixed_params": {"arm": "evil", "seed": 7}},
        "intermediate_values": {},
    },
}


@pytest.mark.parametrize("case", JOURNAL)
def test_a_line_in_a_journal_is_told_and_does_nothing(case: str, study: Path, run: Run) -> None:
    line = JOURNAL[case]
    if isinstance(line, dict):
        line = with_checksum(json.dumps({**line, "worker_id": "w"}, separators=(",", ":")).encode())
    journal = study / "trials.journal"
    journal.write_bytes(journal.read_bytes() + line + b"\n")
    rewrite(study / "manifest.json", lambda content: content.update(journal=asdict(file_digest(journal))))
    run(*STATUS)
    run(*STATUS, "--json")
    run(*PAGE)
    ended = run(*RUN)
    if ended.status:
        assert "trials.journal" in ended.err
        journal.unlink()  # what the error advises
        assert run(*RUN).status == 0


KINDS = ("fifo", "device", "folder", "circle", "outside", "sparse", "empty")
PLACES = {
    "manifest": "manifest.json",
    "recipe": "recipe.yaml",
    "journal": "trials.journal",
    "journals_lock": "trials.journal.flock",
    "lock": ".lock",
    "runs_lock": "runs/.mlp-s7.lock",
    "run": "runs/mlp-s7",
    "scores": "runs/mlp-s7/scores.json",
    "lines_of_scores": "runs/mlp-s7/scores/test/boxes.jsonl",
    "training": "runs/mlp-s7/training.json",
    "metrics": "runs/mlp-s7/metrics.jsonl",
    "weights": "runs/mlp-s7/model.safetensors",
    "page": "report.html",
}


@pytest.mark.parametrize(("case", "kind"), every(PLACES, KINDS, fast=3))
def test_something_else_in_the_place_of_a_file(case: str, kind: str, study: Path, run: Run) -> None:
    put_in_place(study / PLACES[case], kind)
    for command in (STATUS, PAGE, RUN):
        run(*command, kill_after=200)
    assert (study.parents[1] / "out" / "precious.jsonl").read_text() == PRECIOUS


RECIPES = {
    "python_tag": "title: !!python/object/apply:os.system ['touch pwned']\n",
    "python_name": "title: !!python/name:os.system\n",
    "bomb": "a: &a [x, x, x, x]\n"
    + "".join(f"{k}: &{k} [*{j}, *{j}, *{j}, *{j}]\n" for j, k in zip("abcdefgh", "bcdefghi", strict=True)),
    "cycle": "a: &a [*a]\n",
    "deep": "a: " + "[" * 20_000,
    "layers": RECIPE.replace("n_layer: 1", "n_layer: 1000000000"),
    "width": RECIPE.replace("d_model: 32", "d_model: 1000000000"),
    "images": RECIPE.replace("train: 60", "train: 1000000000000"),
    "batch": RECIPE.replace("batch_size: 4}", "batch_size: 1000000000000}"),
    "extends_a_device": "extends: /dev/zero\n",
    "extends_itself": "extends: recipe.yaml\n",
    "escapes": 'title: "\\e[31m"\nmodel: "\\e]0;x\\a"\n',
    "digits": "title: x\ntrain: {finetune: {steps: " + "9" * 10_000 + "}}\n",
    "poisoned_requirement": RECIPE + "requires: ['x; touch pwned', '--index-url=http://127.0.0.1:9']\n",
}


@pytest.mark.parametrize("case", RECIPES)
def test_a_hostile_recipe_runs_nothing(case: str, study: Path, run: Run) -> None:
    (study.parent / "recipe.yaml").write_text(RECIPES[case])
    for command in (("recipes", "validate", "recipe.yaml"), ("plan", "recipe.yaml")):
        run(*command, kill_after=200)
    assert not (study.parent / "pwned").exists()


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "circle", "sparse"])
def test_a_recipe_that_is_no_file(kind: str, study: Path, run: Run) -> None:
    put_in_place(study.parent / "recipe.yaml", kind)
    for command in (("recipes", "validate", "recipe.yaml"), ("plan", "recipe.yaml"), ("run", "recipe.yaml")):
        assert run(*command, kill_after=200).status == 1


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "outside"])
def test_a_report_replaces_nothing_but_a_file(kind: str, study: Path, run: Run) -> None:
    put_in_place(study.parent / "page", kind)
    if kind == "outside":  # a link to a file is replaced, and the file stays
        run_hostile_page = run_hostile(study.parent, *PAGE, "--out", "page", may_write=("page",))
        assert run_hostile_page.status == 0
        assert (study.parents[1] / "out" / "precious.jsonl").read_text() == PRECIOUS
        return
    for form in FORMATS:
        assert run(*PAGE, "--format", form, "--out", "page").status == 1


def test_a_stage_of_features_that_is_empty_or_waits_is_made_again(study: Path, run: Run) -> None:
    for kind in ("empty", "fifo", "sparse"):
        shutil.rmtree(study / "runs" / "mlp-s7")
        for file in study.glob("features/*/features.npy"):
            put_in_place(file, kind)
        ended = run(*RUN, kill_after=60)
        if ended.status:
            assert "Delete this folder" in ended.err
            shutil.rmtree(study / "features")  # what the error advises
            assert run(*RUN, kill_after=60).status == 0


HEADERS = {
    "lies_about_length": (1 << 62).to_bytes(8, "little") + b"{}",
    "lies_about_size": b'{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}',
    "deep": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "negative": b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
    "pickle": b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.",
}


@pytest.mark.parametrize("case", HEADERS)
def test_weights_with_a_lying_header_are_told_and_made_again(case: str, study: Path, run: Run) -> None:
    import cobra_kit

    header = HEADERS[case]
    sized = header if case in ("lies_about_length", "pickle") else len(header).to_bytes(8, "little") + header
    weights = study / "runs" / "mlp-s7" / "model.safetensors"
    weights.write_bytes(sized + b"\0" * 16)
    with pytest.raises(cobra_kit.errors.CobraError, match=r"Delete .*model\.safetensors and give the study's command"):
        cobra_kit.load(weights.parent)
    weights.unlink()
    assert run(*RUN).status == 0
    assert cobra_kit.load(weights.parent)
    assert not (study.parent / "pwned").exists()


@pytest.mark.parametrize("case", ["/etc/passwd", "../../../out/precious.jsonl", "a" * 5000, "\x1b[31m<script>"])
def test_an_image_that_scores_name_is_not_asked_of_the_data(case: str, study: Path, run: Run) -> None:
    for arm in ("mlp-s7", "linear-s7"):
        for file in (study / "runs" / arm / "scores" / "test").iterdir():
            lines = [json.loads(line) | {"picture": case} for line in file.read_text().splitlines()]
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        rewrite(
            study / "runs" / arm / "scores.json",
            lambda content: [entry.pop("digest") for entry in content["test"].values()],
        )
    for form in FORMATS:
        run(*PAGE, "--format", form)
    page = (study / "report.html").read_text() if (study / "report.html").exists() else ""
    assert "\x1b" not in page
    assert "root:" not in page


def test_the_plugins_are_listed_beside_it(study: Path, run: Run) -> None:
    (study.parent / "cobra_kit_mamba.py").write_text("open('pwned', 'w').close()")
    (study / "sitecustomize.py").write_text("open('pwned', 'w').close()")
    assert run("plugins", "list").status == 0
