"""Tests of the domain: pure, many of them properties."""
