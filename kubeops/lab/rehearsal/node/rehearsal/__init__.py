"""Stand-ins for the programs of a Kubernetes node: real files, real texts, real etcd, no containers."""
