"""Backups: bundles in a store, each one proven by restoring it before it is called a backup.

* `save.take` makes one; `verify.verify` tries a stored one again; `parts.fetch` gives back what is
  in it; `member` chooses the control plane it is taken from; `lock` keeps two savers apart.
* `store` says what a store is, `local` and `s3` are the two there are; `catalog` finds bundles.
* `crypto` encrypts and decrypts (age); `ladder` proves a snapshot by restoring it; `identity` reads
  the cluster's identity in it; `scripts` are what runs where etcd is.
* `upload` brings a large file to a host.

docs/backup-format.md describes what is stored.
"""
