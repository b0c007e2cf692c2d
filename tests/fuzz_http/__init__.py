"""Mutated requests against a whole running service."""
