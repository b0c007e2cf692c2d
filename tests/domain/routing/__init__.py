"""Tests of who answers a request that names no model."""
