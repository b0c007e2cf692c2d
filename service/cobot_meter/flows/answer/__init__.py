"""Answers as they come: read, paid for further, kept at hand, and handed over or not."""
