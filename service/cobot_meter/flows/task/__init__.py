"""Tasks: sales of many runs, opened, answered and closed by a seller, and paid for by a buyer."""
