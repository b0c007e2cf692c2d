"""Tests of what is asked of upstreams."""
