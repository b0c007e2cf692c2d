"""The simulator's own credit book."""
