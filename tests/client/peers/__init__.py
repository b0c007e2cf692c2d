"""What two agents tell each other."""
