"""Tests of the harness that runs real nodes, and the fixtures through which others use it."""
