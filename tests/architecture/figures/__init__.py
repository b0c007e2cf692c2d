"""Tests that hold the house itself: floors, sizes, names, files."""
