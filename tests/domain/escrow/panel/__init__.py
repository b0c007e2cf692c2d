"""A panel: several models asked at once in one sale, of which those that answered are paid for."""
