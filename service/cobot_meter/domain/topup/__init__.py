"""The top-up: an invoice whose payment becomes credit, as a machine of its own."""
