"""Times one token of decoding: our Mamba, transformers' Mamba with the same weights, and Transformers of equal size.

    python benchmarks/decode.py
    python benchmarks/decode.py --threads 1 --contexts 256 16384 --rounds 10

The model is that of SCAN.md: d 256, 8 layers, vocabulary 8192, 5.6 M parameters, float32, batch 1. A step is embedding,
blocks and logits of a given id, no sampling. Behind it stand 256 to 16,384 tokens of context that were not computed:
states, keys and values are random numbers of that size, which time does not depend on. The Transformer is GPT-NeoX with
as many layers and parameters: as this project's backbone, and with the same weights as transformers' own, whose cache
grows or is preallocated. Everybody runs eagerly. Contestants take turns of some tokens each; before that, those that
share weights compare their logits.
"""

from __future__ import annotations

import argparse
import inspect
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from interleave import Claim, Report, Times, clock_for, counted, ratio, take_turns
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, StaticCache

from cobra_kit.interfaces import Backbone
from cobra_kit_mamba.backbone import MambaBackbone
from cobra_kit_mamba.config import MambaConfig
from cobra_kit_transformer.backbone import GptNeoxBackbone
from cobra_kit_transformer.config import TransformerTinyConfig

WIDTH, LAYERS, VOCABULARY = 256, 8, 8192
BURST, SKIP = 12, 4
CPU = torch.device("cpu")
Step = Callable[[], Tensor]

OURS, THEIRS = "our Mamba", "transformers' Mamba"
TRANSFORMERS = ("our Transformer", "transformers' GPT-NeoX, DynamicCache", "transformers' GPT-NeoX, StaticCache")


def our_mamba() -> MambaBackbone:
    config = MambaConfig(d_model=WIDTH, n_layer=LAYERS, vocab_size=VOCABULARY, tokenizer="small", weights="none")
    model = MambaBackbone(config)
    model.reset_parameters(torch.Generator().manual_seed(0))
    return model.eval()


def their_mamba(model: MambaBackbone) -> nn.Module:
    config = transformers.MambaConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS)
    theirs = transformers.MambaForCausalLM(config)
    values = {n.replace("backbone.embedding.", "backbone.embeddings."): t for n, t in model.state_dict().items()}
    theirs.load_state_dict(values)
    return theirs.eval()


def our_transformer(parameters: int) -> GptNeoxBackbone:
    """Returns the GPT-NeoX whose number of parameters is the nearest to this one."""

    def of(intermediate: int) -> GptNeoxBackbone:
        return GptNeoxBackbone(
            TransformerTinyConfig(
                hidden_size=WIDTH, num_layers=LAYERS, intermediate_size=intermediate, vocab_size=VOCABULARY
            )
        )

    with torch.device("meta"):
        one_wide, two_wide = count(of(1)), count(of(2))
    model = of(1 + round((parameters - one_wide) / (two_wide - one_wide)))
    model.reset_parameters(torch.Generator().manual_seed(0))
    return model.eval()


def their_transformer(model: GptNeoxBackbone) -> nn.Module:
    theirs = transformers.GPTNeoXForCausalLM(model.gpt_neox.config)
    theirs.gpt_neox.load_state_dict(model.gpt_neox.state_dict())
    theirs.tie_weights()
    return theirs.eval()


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def ids_of(seed: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randint(0, VOCABULARY, (1,), generator=generator)


def backbone_step(model: Backbone, context: int, room: int) -> Step:
    """Returns a step of one of our backbones whose state holds this much context."""
    state, ids = model.new_state(1, context + room, device=CPU, dtype=torch.float32), ids_of(1)
    if context:
        for i, tensor in enumerate(state.tensors.values()):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(i)))
        state.lengths.fill_(context)

    def step() -> Tensor:
        if int(state.lengths) >= context + room:
            state.lengths.fill_(context)
        return model.logits(model.step(model.embed(next(ids)), state))

    return step


def mamba_step(model: nn.Module) -> Step:
    """Returns a step of transformers' Mamba; its cache has a constant size."""
    given, ids = {cache_name(model): DynamicCache(config=model.config)}, ids_of(1)

    def step() -> Tensor:
        logits: Tensor = model(next(ids)[None], use_cache=True, **given).logits[0]
        return logits

    return step


def transformer_step(model: nn.Module, context: int, room: int, *, static: bool) -> Step:
    """Returns a step of transformers' GPT-NeoX whose cache holds this much context."""
    config: Any = model.config
    name = cache_name(model)
    heads, ids, used = config.num_attention_heads, ids_of(1), 0
    cache: Any = StaticCache(config, max_cache_len=context + room) if static else DynamicCache(config=config)
    if context:
        for layer in range(config.num_hidden_layers):
            kept = torch.randn(2, 1, heads, context, config.hidden_size // heads)
            cache.update(kept[0], kept[1], layer)

    def step() -> Tensor:
        nonlocal used
        if used >= room:
            cache.crop(-used)
            used = 0
        used += 1
        logits: Tensor = model(next(ids)[None], use_cache=True, **{name: cache}).logits[0]
        return logits

    return step


def cache_name(model: nn.Module) -> str:
    """Returns the name of the argument that takes the cache; it depends on the version of transformers."""
    names = inspect.signature(model.forward).parameters
    return next(name for name in ("cache", "cache_params", "past_key_values") if name in names)


def largest_difference(a: Step, b: Step, tokens: int = 16) -> float:
    return max(float((a() - b()).abs().max()) for _ in range(tokens))


def measure(report: Report, models: dict[str, Any], threads: int, contexts: list[int], rounds: int) -> None:
    """Times every contestant over every context and makes the claims for this number of threads."""
    torch.set_num_threads(threads)
    steps: dict[tuple[int, str], Step] = {}
    # Whoever is compared with itself over contexts has its turns one after another.
    for context in contexts:
        steps[context, OURS] = backbone_step(models[OURS], context, BURST)
    steps[contexts[0], THEIRS] = mamba_step(models[THEIRS])
    for context in contexts:
        steps[context, TRANSFORMERS[0]] = backbone_step(models[TRANSFORMERS[0]], context, BURST)
    for name, static in zip(TRANSFORMERS[1:], (False, True), strict=True):
        for context in contexts:
            steps[context, name] = transformer_step(models["their transformer"], context, BURST, static=static)
    contestants = {f"{context}|{name}": step for (context, name), step in steps.items()}
    times = take_turns(contestants, rounds, clock_for(threads), burst=BURST, skip=SKIP)
    by_context: dict[int, Times] = {
        context: {name: times[f"{context}|{name}"] for at, name in steps if at == context} for context in contexts
    }
    for context, taken in by_context.items():
        report.add("a token of decoding", taken, context=context, threads=threads)

    first, last = contexts[0], contexts[-1]
    median = {key: statistics.median(taken) for key, taken in times.items()}
    label = counted(threads)
    report.claim(
        Claim(f"time of transformers' Mamba over ours, {label}", ratio(by_context[first], THEIRS, OURS), goal=1.5)
    )
    growth = 100 * (median[f"{last}|{OURS}"] / median[f"{first}|{OURS}"] - 1)
    report.claim(Claim(f"our Mamba's growth from {first} to {last}, {label}", growth, "%", 5, at_least=False))
    for name in TRANSFORMERS:
        grown = median[f"{last}|{name}"] / median[f"{first}|{name}"]
        report.claim(Claim(f"time of {name} at {last} over itself at {first}, {label}", grown))
    for context in contexts:
        best = min(TRANSFORMERS, key=lambda name, at=context: median[f"{at}|{name}"])
        report.claim(
            Claim(
                f"time of the fastest Transformer ({best}) over our Mamba at {context}, {label}",
                ratio(by_context[context], best, OURS),
            )
        )


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--contexts", type=int, nargs="+", default=[256, 1024, 4096, 16384], help="tokens before")
    parser.add_argument("--rounds", type=int, default=8, help=f"turns of {BURST} tokens, {SKIP} of them unmeasured")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    options = parser.parse_args()
    mamba = our_mamba()
    transformer = our_transformer(count(mamba))
    models = {
        OURS: mamba,
        THEIRS: their_mamba(mamba),
        TRANSFORMERS[0]: transformer,
        "their transformer": their_transformer(transformer),
    }
    report = Report("decode")
    report.notes.append(f"Parameters: Mamba {count(mamba):,}, Transformer {count(transformer):,}; float32, batch 1.")
    report.notes.append("The context is random states, keys and values of that length, not computed ones.")
    report.notes.append("One thread: processor time of the process; more: time on the wall.")
    print("\n".join(report.notes))
    same = largest_difference(backbone_step(mamba, 0, 99), mamba_step(models[THEIRS]))
    report.claim(
        Claim("largest difference of logits to transformers' Mamba, 16 tokens", same, "", 1e-4, at_least=False)
    )
    for static in (False, True):
        theirs = transformer_step(models["their transformer"], 0, 99, static=static)
        same = largest_difference(backbone_step(transformer, 0, 99), theirs)
        name = TRANSFORMERS[1 + static]
        claim = Claim(
            f"largest difference of logits between our Transformer and {name}", same, "", 1e-4, at_least=False
        )
        report.claim(claim)
    for threads in options.threads:
        measure(report, models, threads, options.contexts, options.rounds)
    report.write(options.out)


if __name__ == "__main__":
    main()
