"""Databases behind the books port."""
