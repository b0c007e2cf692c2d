"""The face with a model of its own machine beside the upstream."""
