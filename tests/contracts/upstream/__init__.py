"""Tests of the contract of upstreams."""
