"""Pure data: what is desired (the inventory), what was observed (the hosts), and versions."""
