"""Intervals, tests and sums, against values that others have printed."""
