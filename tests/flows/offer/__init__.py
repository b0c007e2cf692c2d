"""Tests of what can be sold."""
