"""The verbs of kubeops for `invoke` in a checkout; `invoke --list` shows them."""

import sys

# Invoke keeps Python from storing compiled modules, and then every call compiles them all again.
sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)

from kubeops.cli.namespace import namespace as verbs  # noqa: E402 - it is to be stored as well

namespace = verbs(development=True)
