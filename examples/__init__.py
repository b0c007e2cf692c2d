"""The seven scenarios as a caller writes them, a file each."""
