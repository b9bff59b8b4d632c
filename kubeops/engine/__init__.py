"""Runs a plan: waves, gates, journal, lock. Knows how to run steps, not what they do."""
