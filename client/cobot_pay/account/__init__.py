"""What a seller keeps for us: prepaid credit, and the keys that spend it."""
