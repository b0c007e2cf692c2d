"""Where exchange rates are read."""
