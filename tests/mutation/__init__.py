"""Mutation of the money core: what the tests would not notice is found by changing it."""
