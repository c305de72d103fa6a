"""`cobra-kit bench`: latency, memory and scaling.

Only the options stand here; what the command does is in `bench_action`, imported when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cobra_kit.cli.options import JsonOption, ProfileOption, SetOption


def bench(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A file, a name from `recipes list`, or paper.table3.")
    ],
    profile: ProfileOption = None,
    changes: SetOption = None,
    protocol: Annotated[
        str,
        typer.Option("--protocol", help="general, or cobra: the paper's, one picture and exactly 256 tokens."),
    ] = "",
    against: Annotated[
        str | None, typer.Option("--against", metavar="NAME", help="A recipe or a backbone to measure beside it.")
    ] = None,
    weights: Annotated[str, typer.Option("--weights", help="random, or recipe: those that it names.")] = "random",
    prompt_tokens: Annotated[str, typer.Option("--prompt-tokens", metavar="N,..", help="Text tokens.")] = "64,256,1024",
    image_tokens: Annotated[
        str,
        typer.Option(
            "--image-tokens", metavar="N,..", help="Visual tokens; recipe: its own picture, encoded; 0: none."
        ),
    ] = "recipe",
    batch: Annotated[str, typer.Option("--batch", metavar="N,..", help="Rows decoded together.")] = "1",
    new_tokens: Annotated[
        int | None, typer.Option("--new-tokens", metavar="N", help="Tokens to decode; 32, of cobra always 256.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", metavar="NAME,..", help="float32, bfloat16, float16; a GPU's default is bfloat16."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto",
    graphs: Annotated[str, typer.Option("--graphs", help="CUDA graphs: auto, never or always.")] = "auto",
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", help="Rounds that count.")] = 5,
    warmup: Annotated[int, typer.Option("--warmup", metavar="N", help="Rounds before them.")] = 2,
    memory: Annotated[
        bool, typer.Option("--memory/--no-memory", help="On a CPU: peak memory, in a process per model.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write bench.json and bench.html.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Measure time to first token, prefill and decode rates, memory, and the share of the memory bandwidth.

    The arms of a recipe, or a recipe and --against, are measured in turns; where their times per token cross is told.
    The first line says whether weights are random. Nothing is trained.

    729 against 196 image tokens, as the paper has it: cobra-kit bench ablation_projector --profile paper --protocol
    cobra
    """
    from cobra_kit.cli import bench_action

    return bench_action.bench(
        bench_action.BenchArguments(
            recipe=recipe,
            profile=profile,
            changes=tuple(changes or ()),
            against=against,
            protocol=protocol,
            weights=weights,
            prompt_tokens=prompt_tokens,
            image_tokens=image_tokens,
            batch=batch,
            new_tokens=new_tokens,
            dtype=dtype,
            device=device,
            graphs=graphs,
            repeats=repeats,
            warmup=warmup,
            memory=memory,
            out=out,
            as_json=as_json,
        )
    )
