"""Budgets that outlive a process: limits by hour and day, for all hosts and for each."""
