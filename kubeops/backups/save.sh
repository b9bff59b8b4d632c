# Saves a snapshot of the local member and writes it to stdout; answers go to stderr.

main() { # ENDPOINT CACERT CERT KEY BYTES PROVE PREFIX DIRECTORY...
    exec 3>&2 </dev/null
    endpoint=$1 cacert=$2 cert=$3 key=$4 bytes=$5 prove=$6 prefix=$7
    shift 7
    need host etcdctl
    if [ "$prove" = yes ]; then need host etcd etcdutl; fi
    begin "$bytes" "$@"
    file=$scratch/snapshot.db
    "$etcdctl" --endpoints "$endpoint" --cacert "$cacert" --cert "$cert" --key "$key" \
        snapshot save "$file" >&2 || exit
    sha256sum <"$file" >"$scratch/sum" &
    summing=$!
    cat -- "$file" || exit
    # Closed for whoever reads, who need not wait for the proof to know that all has arrived.
    exec >&-
    wait "$summing" || exit
    echo "$(cut -c 1-64 "$scratch/sum") $(stat -c %s -- "$file")" | say saved 0 0
    if [ "$prove" = yes ]; then prove "$file" "$prefix"; fi
}

main "$@"
