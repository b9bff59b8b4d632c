"""Cluster lifecycle automation for self-managed Kubernetes (kubeadm) over SSH."""

__version__ = "0.1.0"
