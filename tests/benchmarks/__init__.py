"""That the benchmarks run, and that their tables say what was measured."""
