"""Tells the story of each verb: gather, plan, run. Decides nothing and prints nothing."""
