"""Tests of the simulator's routing."""
