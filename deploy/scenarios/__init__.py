"""The tour of the seven scenarios."""
