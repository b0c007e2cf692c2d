"""Tests of the upstream simulator."""
