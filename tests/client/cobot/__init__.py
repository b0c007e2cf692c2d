"""Tests of what a cobot buys with, where cobot itself is not installed."""
