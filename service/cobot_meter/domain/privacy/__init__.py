"""Privacy: who may read a request, and what in it says so."""
