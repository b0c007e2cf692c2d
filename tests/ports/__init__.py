"""Tests of the values that ports carry."""
