"""The names of the prompt templates, for configs: importing them loads no tokenizer library."""

from typing import Literal

TemplateName = Literal["chat", "base", "vicuna-v1", "mobilevlm-v2", "llava-phi", "tinyllava-phi"]
"""Keys of `cobra_kit.text.templates.TEMPLATES`."""
