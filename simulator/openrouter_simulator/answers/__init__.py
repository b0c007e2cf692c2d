"""Runs and their answers, whole and as events."""
