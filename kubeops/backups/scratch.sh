main() { # BYTES DIRECTORY...: makes a scratch directory and leaves it to the caller
    begin "$@"
    trap - EXIT
    echo "$scratch"
}

main "$@" </dev/null
