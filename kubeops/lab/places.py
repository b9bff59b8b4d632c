"""Where labs are kept on this machine."""

from pathlib import Path

LABS = Path("/var/lib/kubeops/labs")
CACHE = Path("/var/cache/kubeops/lab")
REPOSITORY = CACHE / "repository"
PROGRAMS = Path(__file__).parent / "programs"
