"""A recipe of toy parts (tests/toy_plugin.py)."""

RECIPE = """
title: toy
seed: 3
model:
  vision_encoder: {use: toy-plugin/patches}
  projector: {use: toy-plugin/linear}
  fusion: {use: toy-plugin/separator}
  backbone: {use: toy-plugin/decay}
"""
