"""Two real cobots, installed as their users install them: one sells its work, one buys it."""
