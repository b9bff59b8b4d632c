main() { # host|here FILE PREFIX BYTES DIRECTORY
    exec 3>&1
    need "$1" etcd etcdctl etcdutl
    begin "$4" "$5"
    prove "$2" "$3"
}

main "$@"
