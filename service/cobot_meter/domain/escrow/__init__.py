"""The escrow: its row, its events, the table of its states, and what each event books."""
