"""Routing measured: how long a decision takes, what it saves, and where it goes wrong."""
