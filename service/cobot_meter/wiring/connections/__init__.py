"""What holds of a connection before the first line of a route runs: bytes, times and numbers."""
