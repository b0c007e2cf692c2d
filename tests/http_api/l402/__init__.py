"""Tests of challenges and proofs."""
