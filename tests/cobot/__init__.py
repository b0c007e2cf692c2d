"""The seller's plugin, without the program that it is for."""
