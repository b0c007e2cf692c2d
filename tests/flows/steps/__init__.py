"""Tests of the single steps of a sale."""
