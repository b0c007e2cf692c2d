"""Tests of the books on PostgreSQL."""
