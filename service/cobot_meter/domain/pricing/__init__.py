"""Prices, quotes and exchange rates."""
