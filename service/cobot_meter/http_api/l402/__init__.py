"""The payment challenge, and the proofs that answer it."""
