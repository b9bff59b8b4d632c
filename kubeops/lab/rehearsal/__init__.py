"""The rehearsal: stand-ins for Kubernetes' programs, and the package repository they come from.

* `repository.build` makes the signed apt repository (host side).
* `orders` describes faults that a node's stand-ins are to have (host side).
* `node/` holds the programs that run on lab nodes; see its README.
"""
