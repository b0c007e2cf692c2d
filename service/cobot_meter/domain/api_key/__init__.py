"""API keys: each a secret text that names a caller, within limits; live until it is revoked."""
