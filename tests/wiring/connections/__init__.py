"""Tests of settings and wiring."""
