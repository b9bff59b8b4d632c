"""What verbs import is time that every call waits for."""

import subprocess
import sys

import pytest

LISTING = "from kubeops.cli.namespace import namespace; namespace(development=True)"
STATUS = (
    "from kubeops.cli._app import Report; from kubeops.inventory import load; "
    "from kubeops.ops.session import open_session; from kubeops.ops.freshness import glance; "
    "from kubeops.render.screen import open_screen; from kubeops.render import jsonout; "
    "open_screen(json=True)"
)


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (LISTING, ("rich", "fabric", "kubeops.model.observed", "kubeops.plan", "kubeops.engine")),
        (STATUS, ("rich", "jinja2", "cryptography.x509", "kubeops.plan", "kubeops.backups.save")),
    ],
    ids=["list", "status --json"],
)
def test_imports_nothing_that_it_does_not_use(code: str, unwanted: tuple[str, ...]) -> None:
    names = "import sys; print(*sorted(sys.modules), sep='\\n')"
    ended = subprocess.run(
        (sys.executable, "-c", f"{code}; {names}"), capture_output=True, text=True, check=True
    )
    imported = ended.stdout.splitlines()
    found = [name for name in imported for no in unwanted if f"{name}.".startswith(f"{no}.")]
    assert found == []
