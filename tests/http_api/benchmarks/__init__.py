"""The benchmarks that are sold."""
