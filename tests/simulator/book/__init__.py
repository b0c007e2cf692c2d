"""Tests of the simulator's book."""
