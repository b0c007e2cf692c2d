"""Benchmark runs from the command line: asking, keeping, and showing what came of it."""
