"""A cluster's worth of nodes on this machine, to practise and to test on.

A node is a Debian system as far as SSH can tell: systemd as init, sshd, sudo, apt, an address, a
disk and a hostname of its own, and it reboots. It is made of namespaces, not of virtual machines,
so that five of them boot in a few seconds. What each module is for:

* `lifecycle`: `up`, `down`, `status`, `list_labs`, `load`, `add_node`.
* `faults`: `cut`, `mend`, `freeze`, `thaw`, `kill`, `start`, `reboot`, `fill_disk`, `free_disk`.
* `model`, `state`, `names`: what a lab is, and the file it is kept in
  (/var/lib/kubeops/labs/NAME/lab.json).
* `requirements`, `hostsetup`: what this machine must offer, and the little that is changed on it.
* `base`, `baseroot`, `aptsources`: the root file system all nodes share (/var/cache/kubeops/lab).
* `network`, `subnets`, `cgroups`, `services`, `seed`, `nodes`: what a lab is made of.
* `programs`: what runs in a lab: each node's launcher and init, package server, load balancer.

How a lab is laid out, so that nothing of it can be left behind:

1. Every process of a lab lives in one cgroup, below that of the caller of `up`. Ending the lab is
   ending that cgroup; no process is looked for by name or by number.
2. One network namespace per lab, the hub, holds the bridge and the lab's services. The machine
   itself is joined to it by one pair of links. A node's network namespace has no name: it ends
   with the node, and so does its link.
3. A node's mounts, its disk among them, exist in the node's mount namespace only, and end with it.
"""
