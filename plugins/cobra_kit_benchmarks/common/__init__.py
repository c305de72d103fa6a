"""What the benchmarks share: reading files, checking records, subsets, and joining predictions."""
