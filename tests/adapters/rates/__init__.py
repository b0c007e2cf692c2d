"""Tests of what reads exchange rates."""
