"""Asks: verbs, their options, and the boundary where every outcome becomes an exit status."""
