"""The watch over models, on simulated replies."""
