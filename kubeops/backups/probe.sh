main() { # prints the version of etcd; fails unless all three tools are there
    need etcd etcdctl etcdutl
    "$etcd" --version
}

main "$@" </dev/null
