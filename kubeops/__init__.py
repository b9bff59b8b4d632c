"""Cluster lifecycle automation for self-managed Kubernetes (kubeadm) over SSH."""

from importlib.metadata import version

__version__ = version("kubeops")
