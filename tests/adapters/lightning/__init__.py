"""Tests of the Lightning adapters."""
