"""The nine benchmarks, in the order of the paper's tables."""

from __future__ import annotations

from cobra_kit_benchmarks.common.definition import Definition
from cobra_kit_benchmarks.gqa.protocol import DEFINITION as GQA
from cobra_kit_benchmarks.pope.protocol import DEFINITION as POPE
from cobra_kit_benchmarks.refcoco.protocol import DEFINITION as REFCOCO
from cobra_kit_benchmarks.refcoco_plus.protocol import DEFINITION as REFCOCO_PLUS
from cobra_kit_benchmarks.refcocog.protocol import DEFINITION as REFCOCOG
from cobra_kit_benchmarks.textvqa.protocol import DEFINITION as TEXTVQA
from cobra_kit_benchmarks.vizwiz.protocol import DEFINITION as VIZWIZ
from cobra_kit_benchmarks.vqav2.protocol import DEFINITION as VQAV2
from cobra_kit_benchmarks.vsr.protocol import DEFINITION as VSR

DEFINITIONS: dict[str, Definition] = {
    definition.name: definition
    for definition in (VQAV2, GQA, VIZWIZ, TEXTVQA, VSR, POPE, REFCOCO, REFCOCO_PLUS, REFCOCOG)
}
