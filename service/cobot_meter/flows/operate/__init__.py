"""What operators do: callers, invoices, the node, upstream accounts, the quarantine."""
