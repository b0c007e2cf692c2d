"""A scenario each, on the whole service as it runs."""
