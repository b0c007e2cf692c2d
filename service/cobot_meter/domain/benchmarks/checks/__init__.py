"""Judges of replies: deterministic, pure, and without running anything that a model wrote."""
