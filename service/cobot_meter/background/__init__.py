"""Floor 4b: what runs without a request; never imports an adapter."""
