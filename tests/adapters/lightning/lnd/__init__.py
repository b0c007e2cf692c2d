"""Tests of lnd."""
