"""Models, their endpoints and prices, and which endpoint serves a request."""
