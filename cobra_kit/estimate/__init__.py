"""Estimates of a training, before anything of its size is built: parameters, FLOPs, memory, hours, price.

Everything is counted on the meta device (`counting`), where a part of any size costs nothing, or computed from what
was counted (`memory`, `hours`). What is assumed instead of counted carries its source in a text that is printed.
Importing this package imports no torch.
"""
