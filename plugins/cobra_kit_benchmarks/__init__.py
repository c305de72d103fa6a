"""The nine benchmarks of the Cobra paper, from the files as they are distributed, and the rules that score them."""
