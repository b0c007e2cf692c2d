"""The run: one attempt of a completion at one upstream. Its facts belong to the upstream."""
