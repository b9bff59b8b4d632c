"""Every key an inventory can have, as a table: what is not here is refused.

`inventories/example.yaml` explains each of them.
"""

from collections.abc import Iterator, Mapping

Schema = Mapping[str, "Schema | None"]
"""Keys and what is below them; None is a value, and a key `*` stands for names users choose."""

ANY = "*"

_SSH: Schema = {
    "user": None,
    "port": None,
    "key": None,
    "jump": None,
    "known_hosts": None,
    "host_keys": None,
    "sudo": None,
    "sudo_password_file": None,
}

_MACHINE: Schema = {"box": None, "cpus": None, "memory": None}

SCHEMA: Schema = {
    "extends": None,
    "cluster": {
        "name": None,
        "kubernetes": None,
        "endpoint": None,
        "networks": {"pods": None, "services": None, "dns_domain": None},
        "runtime": {"name": None, "version": None},
        "cni": {"name": None, "version": None, "source": None, "manifest": None},
        "addons": None,
        "packages": {"repository": None},
        "images": {"repository": None},
        "upgrade": {
            "max_unavailable": None,
            "failure_budget": None,
            "drain": {"timeout": None, "grace": None, "pdb": None},
        },
        "backup": {
            "store": None,
            "schedule": None,
            "keep": {"last": None, "daily": None, "weekly": None, "monthly": None},
            "encrypt": {"passphrase_file": None, "recipients": None, "identity_file": None},
            "s3": {"endpoint": None, "region": None, "path_style": None},
            "max_age": None,
            "metrics_directory": None,
            "on_failure": None,
        },
    },
    "ssh": _SSH,
    "hosts": {
        ANY: {
            "address": None,
            "role": None,
            "labels": {ANY: None},
            "taints": None,
            "replaces": None,
            "ssh": _SSH,
            "vagrant": _MACHINE,
        }
    },
    "vagrant": _MACHINE,
}


def paths(schema: Schema = SCHEMA, *, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key of `schema`, those above before those below."""
    for key, below in schema.items():
        yield (*above, key)
        if below is not None:
            yield from paths(below, above=(*above, key))


def homes(key: str) -> tuple[str, ...]:
    """Return the dotted paths of the mappings in which `key` is a key."""
    found = (path[:-1] for path in paths() if path[-1] == key)
    return tuple(".".join(part if part != ANY else "NAME" for part in path) for path in found)
