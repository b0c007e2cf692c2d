"""Tests of the development node."""
