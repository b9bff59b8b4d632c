main() { # host|here: prints the version of etcd; fails unless all three tools are there
    need "$1" etcd etcdctl etcdutl
    "$etcd" --version
}

main "$@" </dev/null
