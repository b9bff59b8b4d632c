"""Stand-ins for the programs of a node: real files, real texts, real etcd, no containers."""
