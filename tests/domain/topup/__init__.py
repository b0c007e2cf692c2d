"""Tests of the top-up."""
