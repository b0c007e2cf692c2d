"""The items that are asked."""
