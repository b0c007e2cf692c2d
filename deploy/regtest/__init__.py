"""Real Lightning nodes on a chain of their own, built and run on this machine; never shipped."""
