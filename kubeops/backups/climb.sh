main() { # FILE PREFIX BYTES DIRECTORY
    exec 3>&1
    need etcd etcdctl etcdutl
    begin "$3" "$4"
    prove "$1" "$2"
}

main "$@"
