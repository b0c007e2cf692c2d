"""Tests of the contract of the books."""
