"""A real nginx in front of the service."""
