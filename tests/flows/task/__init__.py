"""Tasks on the flows: what survives a kill at any commit, and who is first."""
