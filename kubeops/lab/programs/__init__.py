"""The programs that run in a lab, started by path, with nothing but the standard library."""
