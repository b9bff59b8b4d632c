"""The one door to machines: commands go out here, files are put here, nothing else does."""
