"""Measurements against the naive stack and the raw database, as ratios within one run."""
