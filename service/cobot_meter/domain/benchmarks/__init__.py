"""Benchmarks of models: what is asked, how replies are judged, and what moved between runs."""
