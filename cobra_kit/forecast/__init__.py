"""Forecasts of a recipe before it is run: parameters, memory, and the time on this machine."""
