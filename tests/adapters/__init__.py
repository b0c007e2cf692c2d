"""Tests of the adapters, each against the library it knows."""
