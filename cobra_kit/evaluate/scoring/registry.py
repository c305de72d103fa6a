"""TEMP"""
from importlib import import_module
def rules():
    return tuple(v for m in ("vqav2","textvqa","vizwiz","pope","vsr","refcoco","gqa") for v in import_module(f"cobra_kit_benchmarks.{m}.rule").RULES)
def rule_names(): return tuple(r.name for r in rules())
def get_rule(name): return next(r for r in rules() if r.name == name)
