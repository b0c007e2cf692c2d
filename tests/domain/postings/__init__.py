"""The document of all postings, written by what the domain books."""
