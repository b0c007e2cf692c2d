"""The domain of privacy: tiers, and what is detected."""
