"""Tests of flows/credit."""
