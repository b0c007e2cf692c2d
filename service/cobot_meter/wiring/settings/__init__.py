"""Settings: read once, checked, handed out in sections."""
