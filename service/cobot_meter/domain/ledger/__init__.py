"""Accounts and transfers: what can be booked at all."""
