"""Tests of the escrow."""
