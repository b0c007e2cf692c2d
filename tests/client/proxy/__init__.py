"""Tests of the local proxy."""
