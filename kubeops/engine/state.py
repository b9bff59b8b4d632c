"""Where this machine keeps what outlives a run: journals, and what past backups said."""

import os
from collections.abc import Mapping
from pathlib import Path


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where journals live: KUBEOPS_STATE, $XDG_STATE_HOME/kubeops or ~/.local/state/kubeops.

    A relative XDG_STATE_HOME is ignored, as the XDG specification asks.
    """
    if environ.get("KUBEOPS_STATE"):
        return Path(environ["KUBEOPS_STATE"]).expanduser().absolute()
    xdg = Path(environ.get("XDG_STATE_HOME", ""))
    return (xdg if xdg.is_absolute() else Path.home() / ".local/state") / "kubeops"
