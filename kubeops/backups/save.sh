# Saves a snapshot of the local member and writes it to stdout; answers go to stderr.

STALL=60

save() { # FILE ETCDCTL...: saves, unless nothing arrives for STALL seconds
    part=$1.part
    shift
    # Without a limit etcdctl waits for a member that is gone for ever.
    "$@" >&2 &
    saving=$!
    size=0 since=$(date +%s)
    while kill -0 "$saving" 2>/dev/null; do
        now=$(stat -c %s -- "$part" 2>/dev/null || echo 0)
        if [ "$now" -ne "$size" ]; then
            size=$now since=$(date +%s)
        elif [ $(($(date +%s) - since)) -gt "$STALL" ]; then
            kill -KILL "$saving"
            echo "the member has sent nothing for $STALL s" >&2
            return 1
        fi
        sleep 0.05
    done
    wait "$saving"
}

main() { # ENDPOINT CACERT CERT KEY BYTES PROVE PREFIX DIRECTORY...
    exec 3>&2 </dev/null
    endpoint=$1 cacert=$2 cert=$3 key=$4 bytes=$5 prove=$6 prefix=$7
    shift 7
    need host etcdctl
    if [ "$prove" = yes ]; then need host etcd etcdutl; fi
    begin "$bytes" "$@"
    file=$scratch/snapshot.db
    set -- "$etcdctl" --endpoints "$endpoint" --cacert "$cacert" --cert "$cert" --key "$key"
    "$@" --command-timeout=10s endpoint health >&2 || exit
    started=$(date +%s%N)
    save "$file" "$@" snapshot save "$file" || exit
    took=$((($(date +%s%N) - started) / 1000000))
    cat -- "$file" || exit
    # Closed for whoever reads, who need not wait for the proof to know that all has arrived. The sum
    # comes after: sshd encrypts meanwhile, and needs a processor for it.
    exec >&-
    sum=$(sha256sum <"$file") || exit
    echo "${sum%% *} $(stat -c %s -- "$file")" | say saved 0 "$took"
    if [ "$prove" = yes ]; then prove "$file" "$prefix"; fi
}

main "$@"
