"""Inventories: which file, what it says, everything that is wrong in it, and its one rewrite."""

from kubeops.inventory.find import find
from kubeops.inventory.load import load
from kubeops.inventory.rewrite import rewrite_kubernetes

__all__ = ["find", "load", "rewrite_kubernetes"]
