"""Tests of budgets that are kept."""
