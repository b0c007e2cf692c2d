"""Tests of the use cases, against fakes."""
