"""Any state of a sale with any outage, tried as a product."""
