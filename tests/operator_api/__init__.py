"""Tests of the operator's socket."""
