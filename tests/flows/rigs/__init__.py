"""Rigs of the flows."""
