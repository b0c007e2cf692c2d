"""The one secret file, and what is derived from it."""
