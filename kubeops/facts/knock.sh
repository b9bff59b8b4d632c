# Knocks at TCP ports of other hosts, all at the same time; changes nothing and writes no file.
#
# POSIX sh, read from stdin by `sh -s -- [ADDRESS PORT]...`; framing.sh is put in front. A section
# per knock: status 0 when the port was reached. Refused is reached: nothing listens there yet, and
# nothing on the way is against it. bash only lends its TCP client.

# shellcheck disable=SC2016
connect='exec 3<>"/dev/tcp/$0/$1"'

knock() { # ADDRESS PORT
    if said=$(timeout 2 bash -c "$connect" "$1" "$2" 2>&1); then
        status=0
    else
        case $said in
        *'Connection refused'*) status=0 ;;
        *) status=1 ;;
        esac
    fi
    printf '\n@@%s %s %s\n' "$boundary" "$status" "$1 $2"
}

main() {
    announce
    while [ "$#" -gt 1 ]; do
        knock "$1" "$2" &
        shift 2
    done
    wait
    section ended has bash
}

main "$@" </dev/null
