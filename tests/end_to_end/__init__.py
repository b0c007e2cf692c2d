"""Tests of the whole service over real sockets and processes."""
