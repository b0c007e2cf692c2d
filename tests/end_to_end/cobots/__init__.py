"""Two real cobots, installed as their users install them: one sells, one buys."""
