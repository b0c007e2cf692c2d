"""Virtual models, asked for over the running face."""
