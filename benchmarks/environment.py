"""The environment of what kubeops is compared with: outside of the checkout, made on first use."""

import subprocess
import venv
from pathlib import Path

from benchmarks import harness

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def ensure() -> Path:
    """Make or renew the environment when requirements.txt is another; return where programs are."""
    root = harness.CACHE / "venv"
    installed = root / "requirements.txt"
    wanted = _REQUIREMENTS.read_text()
    if not installed.exists() or installed.read_text() != wanted:
        harness.say(f"installing what is compared with into {root}")
        venv.create(root, with_pip=True, clear=True)
        pip = (str(root / "bin/python"), "-m", "pip", "install", "--quiet")
        subprocess.run((*pip, "--requirement", str(_REQUIREMENTS)), check=True)
        installed.write_text(wanted)
    return root / "bin"
