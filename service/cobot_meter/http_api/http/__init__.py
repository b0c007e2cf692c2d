"""What every route shares: exchange, edge, errors, documents."""
