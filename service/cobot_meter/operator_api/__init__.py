"""The operator's socket: commands to the running service."""
