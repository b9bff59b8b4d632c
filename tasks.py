"""The verbs of kubeops for `invoke` in a checkout; `invoke --list` shows them."""

from kubeops.cli.namespace import namespace as verbs

namespace = verbs(development=True)
