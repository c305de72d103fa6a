"""The ground of all nine benchmarks: reading files, checking records, subsets, and joining predictions."""
