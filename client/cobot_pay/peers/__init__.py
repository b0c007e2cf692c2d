"""What two agents tell each other when one works for the other and is paid for it."""
