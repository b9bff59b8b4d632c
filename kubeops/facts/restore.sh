# Asks a control plane what a restore depends on; changes nothing and writes no file.
#
# POSIX sh, read from stdin by `sh -s -- MARKS STATE DATA`: the directory of the marks, that of kubeops'
# state, and etcd's data directory, which may be empty (then the newest mark names it). framing.sh is
# put in front.

marks() { # a line per attempt: id, phase, began, revision, data directory, whether the host was fresh
    for mark in "$1"/*/; do
        [ -f "$mark/phase" ] || continue
        fresh=no
        if [ -e "$mark/fresh" ]; then fresh=yes; fi
        printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$(basename "$mark")" "$(cat "$mark/phase")" \
            "$(cat "$mark/began")" "$(cat "$mark/revision")" "$(cat "$mark/data")" "$fresh"
    done
}

# The image of etcd has no shell, so its programs are run on the host, out of the container's root.
etcdutl() {
    if has etcdutl; then
        command etcdutl version
        return
    fi
    for process in /proc/[0-9]*; do
        [ "$(cat "$process/comm")" = etcd ] || continue
        "$process/root/usr/local/bin/etcdutl" version && return
    done
    # It is in the image too, when no container runs: see kubeops/handlers/etcd.py.
    has ctr && ctr --namespace k8s.io images list --quiet | grep /etcd: | head -n 1
}

disk() { # PATH: device and free bytes of the nearest directory there is
    path=$1
    until [ -d "$path" ]; do path=$(dirname "$path"); done
    df -Pk -- "$path" | awk 'NR == 2 { printf "%s %.0f\n", $1, $4 * 1024 }'
}

listens() { # PORT in hexadecimal
    cat /proc/net/tcp /proc/net/tcp6 | awk -v port=":$1" '$4 == "0A" && $2 ~ port "$" { n++ } END { exit !n }'
}

main() {
    announce
    data=${3:-$(cat "$(ls -d "$1"/*/ | tail -n 1)/data" 2>/dev/null)}
    data=${data:-/var/lib/etcd}
    section marks marks "$1"
    section etcdutl etcdutl
    section database stat -c %s "$data/member/snap/db"
    section state disk "$2"
    section data disk "$data"
    section serving listens 094B
    section ended true
}

main "$@" </dev/null
