"""What the flows ask of the outside, as protocols; adapters and the background implement them."""
