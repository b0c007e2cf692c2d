"""Benchmark runs: reading replies and keeping records."""
