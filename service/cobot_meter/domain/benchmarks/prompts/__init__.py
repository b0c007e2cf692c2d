"""The items of cobot-bench-100, all of our own writing."""
