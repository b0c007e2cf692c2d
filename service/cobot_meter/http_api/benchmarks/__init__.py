"""What the operator has measured of models, for whoever pays for it."""
