"""The audit: the journal lived again, and everything stored held against it."""
