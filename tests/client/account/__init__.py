"""Tests of credit, keys and top-ups."""
