"""Where the processor time of a training step goes, and what a language model's step costs beside its products.

    pip install -e '.[bench]'
    python benchmarks/training_step.py              # both parts
    python benchmarks/training_step.py profile --arm mlp
    python benchmarks/training_step.py lm --rounds 9

`profile` trains a recipe's arm as `cobra-kit run` does, on a few of its rows, and has `perf` (Linux) sample the
process: percent of its processor time by group. `lm` times forward and backward of a Mamba language model, of the
same model through transformers, and of its matrix products alone, in turn. Times are processor time of this process,
so that other work on the machine weighs less; compare ratios of one run, and medians.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from interleave import Claim, Report, Times, ratio, take_turns
from torch import Tensor

from cobra_kit.data.sources import open_source
from cobra_kit.events import Event, StepDone
from cobra_kit.interfaces import FusedSequence, LayoutBatch
from cobra_kit.model import compose
from cobra_kit.recipe import load_recipe
from cobra_kit.study.plan.study_plan import make_plan
from cobra_kit.train import RunSettings, TrainIntervals, train_run
from cobra_kit_mamba.backbone import MambaBackbone
from cobra_kit_mamba.config import MambaConfig

WARM_UP = 20

GROUPS = (
    # (group, pattern of "library symbol"), the first that matches
    ("matrix products", r"gemm|gemv|sgemm|copybcopy|mkl_blas"),
    ("scan", r"cobra_scan|\bblock\b|unblock"),
    ("convolution", r"cobra_conv|weights_of|past_of|\[JIT\]|convol"),
    ("loss", r"softmax|nll_loss"),
    ("norm", r"cobra_norm"),
    ("optimiser", r"adam"),
    ("elementwise and copies", r"function_ref|vectorized|Loop2d|memmove|memcpy|memset|cat_|index|_kernel|Sleef"),
    ("Python", r"libpython|_multiarray|libtorch_python|_ctypes|libffi"),
    ("kernel (page faults, scheduling)", r"kernel\.kallsyms"),
    ("dispatch, allocation, other", r""),
)
OURS = ("products alone", "ours")
COUNTED = ("matrix products", "scan", "convolution", "loss")


def profile(report: Report, arm: str, steps: int, folder: Path) -> None:
    """Trains an arm of ablation_projector on cached features and prints where its time goes."""
    settings = ["data.train=1200", "train.finetune.epochs=null", f"train.finetune.steps={steps}"]
    recipe = load_recipe("ablation_projector", overrides=settings)
    run = next(run for run in make_plan(recipe).runs if run.arm == arm)
    model, source = compose(run.resolved, seed=run.seed), open_source(run.resolved.recipe)
    samples, taken = folder / "perf.data", [time.process_time()]
    sampler: list[subprocess.Popen[bytes]] = []

    def on_event(event: Event) -> None:
        if not isinstance(event, StepDone):
            return
        if event.step == WARM_UP and shutil.which("perf"):
            command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-o", str(samples)]
            sampler.append(subprocess.Popen([*command, "-p", str(os.getpid())], stderr=subprocess.DEVNULL))
            time.sleep(0.5)
        if event.step == steps - 1 and sampler:  # the last step is followed by a checkpoint
            sampler[0].send_signal(signal.SIGINT)
            sampler[0].wait()
        if event.step < steps:
            taken.append(time.process_time())

    train_run(
        model,
        source,
        RunSettings(run.train, seed=run.seed, intervals=TrainIntervals(save_seconds=1e6)),
        folder,
        report=on_event,
    )
    times = [1e3 * (b - a) for a, b in zip(taken[WARM_UP:], taken[WARM_UP + 1 :], strict=False)]
    print(f"\n{run.arm}: {steps} steps, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    print(f"processor time of a step: median {statistics.median(times):.1f} ms, best {min(times):.1f} ms")
    if not sampler:
        print("no perf on this machine: the shares are not measured")
        return
    shares = by_group(samples)
    for group, share in shares.most_common():
        print(f"  {group:34}{share:6.1f} %")
    counted = sum(shares[group] for group in COUNTED)
    report.claim(Claim(f"share of {', '.join(COUNTED)} in a training step of {run.arm}", counted, "%", 80))


def by_group(samples: Path) -> Counter[str]:
    """Returns percent of the samples per group."""
    command = ["perf", "report", "-i", str(samples), "--sort", "dso,symbol", "--stdio", "-w", "0,0"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    shares: Counter[str] = Counter()
    for share, what in re.findall(r"^\s*([\d.]+)%\s+(.*)$", listed, flags=re.MULTILINE):
        shares[next(group for group, pattern in GROUPS if re.search(pattern, what))] += float(share)
    return shares


def language_model(report: Report, rows: int, length: int, rounds: int) -> None:
    """Times the model of SCAN.md (d 256, 8 layers, vocabulary 8192) against transformers' and against its products."""
    config = MambaConfig(d_model=256, n_layer=8, vocab_size=8192, tokenizer="small", weights="none")
    model = MambaBackbone(config)
    model.reset_parameters(torch.Generator().manual_seed(0))
    ids = torch.randint(0, 8192, (rows, length), generator=torch.Generator().manual_seed(1))
    positions = torch.arange(length).expand(rows, length)
    layout = LayoutBatch(
        source=torch.zeros(rows, length, dtype=torch.int64),
        segment_ids=torch.ones(rows, length, dtype=torch.int32),
        positions=positions,
        labels=None,
        cu_seqlens=torch.arange(rows + 1, dtype=torch.int32) * length,
        lengths=(length,) * rows,
    )

    def step(logits: Callable[[], Tensor], module: torch.nn.Module) -> Callable[[], None]:
        def run() -> None:
            module.zero_grad(set_to_none=True)
            F.cross_entropy(logits()[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()

        return run

    def ours() -> Tensor:
        embedded = model.embed(ids.flatten()).view(rows, length, -1)
        return model.logits(model(FusedSequence(embedded, layout)))

    contestants = {"products alone": products(config, rows * length), "ours": step(ours, model)}
    theirs, name = transformers_model(model)
    contestants[name] = step(lambda: theirs(ids, use_cache=False).logits, theirs)
    take_turns(contestants, 1)  # the warm-up
    times: Times = {}
    for part, count in ((contestants, max(1, rounds // 3)), ({n: contestants[n] for n in OURS}, rounds - rounds // 3)):
        for contestant, taken in take_turns(part, count, time.process_time).items():
            times.setdefault(contestant, []).extend(taken)
    title = f"training step of the language model, d 256 x 8 layers, batch {rows} x {length}"
    report.add(title, times, threads=torch.get_num_threads())
    what = f"time of ours over its matrix products alone, {title}"
    report.claim(Claim(what, ratio(times, "ours", "products alone"), "x", 2.0, at_least=False))
    report.claim(Claim(f"time of {name} over ours, {title}", ratio(times, name, "ours"), "x", 4.0))


def products(config: MambaConfig, tokens: int) -> Callable[[], None]:
    """Returns a function that makes a training step's matrix products: forward, gradients of inputs and weights."""
    inner, rank = config.d_inner, config.resolved_dt_rank
    layer = [(config.d_model, 2 * inner), (inner, rank + 2 * config.d_state), (rank, inner), (inner, config.d_model)]
    shapes = [*layer * config.n_layer, (config.d_model, config.vocab_size or 0)]
    pairs = [(torch.randn(tokens, a), torch.randn(b, a), torch.randn(tokens, b)) for a, b in set(shapes)]
    by_shape = dict(zip(set(shapes), pairs, strict=True))

    def run() -> None:
        for shape in shapes:
            x, weight, grad = by_shape[shape]
            F.linear(x, weight)
            grad @ weight
            grad.t() @ x

    return run


def transformers_model(model: MambaBackbone) -> tuple[torch.nn.Module, str]:
    """Returns the model with the same weights in transformers, on the faster of its paths that is installed."""
    import transformers

    faster = importlib.util.find_spec("mambapy") is not None
    config = model.config
    theirs = transformers.MambaForCausalLM(
        transformers.MambaConfig(
            vocab_size=model.vocab_size,
            hidden_size=config.d_model,
            num_hidden_layers=config.n_layer,
            use_mambapy=faster,
        )
    )
    values = {n.replace("backbone.embedding.", "backbone.embeddings."): t for n, t in model.state_dict().items()}
    theirs.load_state_dict(values)
    return theirs.train(), "transformers" + (" with mambapy" if faster else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=["profile", "lm"], help="default: both")
    parser.add_argument("--arm", default="ldpv2", help="of ablation_projector")
    parser.add_argument("--steps", type=int, default=200, help="of the profiled training")
    parser.add_argument("--batch", type=int, nargs=2, default=(8, 384), metavar=("ROWS", "TOKENS"))
    parser.add_argument("--rounds", type=int, default=7, help="timed steps of the language model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    options = parser.parse_args()
    report = Report("training_step", notes=["Processor time of the process."])
    torch.set_num_threads(options.threads)
    if options.part != "lm":
        with tempfile.TemporaryDirectory() as folder:
            profile(report, options.arm, options.steps, Path(folder))
    if options.part != "profile":
        language_model(report, *options.batch, options.rounds)
    report.write(options.out)


if __name__ == "__main__":
    main()
