"""Tests of what is refused, and for how long."""
