"""Floor 4a: HTTP in, flows out; never imports an adapter."""
