"""Reads what is: one script per host in one round trip, and pure parsers that make facts of it."""
