# Restores a snapshot into a scratch etcd and asks it. Needs etcd, etcdctl and etcdutl.
#
# The scratch etcd listens on Unix sockets in the scratch directory (etcd wants their names to look
# like host:port): nothing else can reach it, and nothing it does reaches the cluster.
# `etcdutl hashkv` is not asked: it changes the file it is given.

START=300

ctl() {
    "$etcdctl" --endpoints unix://localhost:2379 --command-timeout=60s "$@"
}

run_etcd() {
    set -- "$etcd" --data-dir "$scratch/data" --unsafe-no-fsync --log-level warn \
        --listen-client-urls unix://localhost:2379 --advertise-client-urls unix://localhost:2379 \
        --listen-peer-urls unix://localhost:2380
    # It must not outlive this shell, not even when that is killed.
    if command -v setpriv >/dev/null; then set -- setpriv --pdeathsig KILL "$@"; fi
    exec "$@" >"$scratch/log" 2>&1 </dev/null
}

answers() {
    deadline=$(($(date +%s) + START))
    until [ -S "$scratch/localhost:2379" ] && ctl --command-timeout=5s endpoint health; do
        if ! kill -0 "$scratch_etcd" || [ "$(date +%s)" -gt "$deadline" ]; then
            tail -n 5 "$scratch/log" >&2
            return 1
        fi
        sleep 0.05
    done
}

prove() { # FILE PREFIX: one answer for each rung, up to the first that fails
    try status "$etcdutl" snapshot status "$1" -w json || return 0
    try restore "$etcdutl" snapshot restore "$1" --data-dir "$scratch/data" \
        --bump-revision 1000000000 --mark-compacted || return 0
    cd "$scratch" || exit
    run_etcd &
    scratch_etcd=$!
    try start answers || return 0
    try keys ctl get "$2/" --prefix --keys-only --limit 1 -w json || return 0
    try identity ctl get "$2/namespaces/kube-system" -w json || return 0
}
