"""Budgets over HTTP: set, refused under, told of, and reset."""
