"""Lessons of the world for small vision encoders: what images say (contrastive), or how they look (dense).

`recipe` the sections of a recipe; `scene_instances`, `phrases` images as arrays and what they say; `contrastive` (with
`text_tower`) and `dense` the objectives; `probe` what the tokens tell afterwards; `pretraining` the task.
"""
