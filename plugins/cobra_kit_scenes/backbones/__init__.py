"""Lessons of the world in words for small backbones.

`recipe` the sections of a recipe; `texts` what is read; `probe` what was learnt; `pretraining` the task.
"""
