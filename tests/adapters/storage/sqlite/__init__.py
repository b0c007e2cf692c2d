"""Tests of the books on SQLite."""
