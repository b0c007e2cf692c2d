"""Tests of flows/answer."""
