"""What benchmarks stand on: stacks, load, processes, tables."""
