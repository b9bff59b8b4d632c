"""The images kubeadm runs a release with."""

from testinfra.host import Host as Remote

from kubeops.model.desired import Cluster


def images(host: Remote, cluster: Cluster) -> dict[str, str]:
    """Return the images of the inventory's release as the host's kubeadm lists them, by name.

    Raises:
        AssertionError: kubeadm does not list them.
    """
    listed = host.check_output(
        "kubeadm config images list --kubernetes-version %s --image-repository %s",
        cluster.kubernetes.tag,
        cluster.image_repository,
    )
    return {image.rpartition("/")[2].partition(":")[0]: image for image in listed.split()}
