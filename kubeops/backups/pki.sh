# Writes a tar archive of PKI and configuration to stdout. Paths in it are those of the host, without
# the first slash; what the API was asked for is below cluster/.

main() { # DIRECTORY REQUIRED API PATH...: REQUIRED (may be empty) must be there, PATHs need not
    exec 3>&2 </dev/null
    directory=$1 required=$2 api=$3
    shift 3
    if [ -n "$required" ] && [ ! -f "$required" ]; then
        echo "$required, which the API server is told to encrypt with, is not there" >&2
        exit 1
    fi
    begin 1000000 "$directory"
    mkdir "$scratch/cluster"
    if [ "$api" = yes ]; then
        for name in kubeadm-config kubelet-config; do
            kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=20s -n kube-system \
                get configmap "$name" -o yaml >"$scratch/cluster/$name.yaml" || exit
        done
    fi
    count=$#
    for path; do
        if [ -e "$path" ]; then set -- "$@" "${path#/}"; fi
    done
    shift "$count"
    tar --create --file - --numeric-owner --directory / "$@" --directory "$scratch" cluster
}

main "$@"
