"""One sale from the request to the released completion."""
