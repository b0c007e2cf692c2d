"""Lightning nodes behind the lightning_node port."""
