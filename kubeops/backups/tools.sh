# What the scripts share; it is put in front of them. POSIX sh, read from stdin by `sh -s`.
#
# Answers are lines `@NAME STATUS MILLISECONDS BASE64` on descriptor 3: whatever a program prints, it
# cannot be taken for another answer.

export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 077
for name in $(env | sed -n 's/^\(ETCD[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done

tool() { # NAME: the path of etcd, etcdctl or etcdutl
    command -v "$1" && return
    # The image of etcd has no shell and sees only its data directory; so its programs, which need
    # nothing else from it, are run on the host, straight out of the running container's root.
    [ "$where" = host ] || return
    for process in /proc/[0-9]*; do
        [ "$(cat "$process/comm" 2>/dev/null)" = etcd ] || continue
        for directory in usr/local/bin usr/bin bin; do
            if [ -x "$process/root/$directory/$1" ]; then
                echo "$process/root/$directory/$1"
                return
            fi
        done
    done
    return 1
}

need() { # host|here NAME...: sets a variable of that name to the path of each tool
    where=$1
    shift
    for name; do
        path=$(tool "$name") || {
            echo "$name is not there" >&2
            exit 127
        }
        eval "$name=\$path"
    done
}

free() { # DIRECTORY: bytes that fit in
    df -Pk -- "$1" | awk 'NR == 2 { printf "%.0f\n", $4 * 1024 }'
}

scratch_etcd=
scratch=
clean() {
    status=$?
    trap - EXIT
    if [ -n "$scratch_etcd" ]; then kill -KILL "$scratch_etcd" 2>/dev/null; fi
    if [ -n "$scratch" ]; then
        cd / && rm -rf -- "$scratch"
    fi
    exit "$status"
}

begin() { # BYTES DIRECTORY...: makes a scratch directory where so many bytes fit in
    bytes=$1
    shift
    seen=
    for directory; do
        mkdir -p -- "$directory" 2>/dev/null || continue
        # Left behind by a host that went down half-way; nothing takes a day.
        find "$directory" -maxdepth 1 -name 'kubeops-scratch.*' -mmin +1440 -exec rm -rf {} +
        available=$(free "$directory")
        seen="$seen $directory has $available"
        if [ "$available" -ge "$bytes" ]; then
            trap clean EXIT
            trap 'exit 143' HUP INT TERM
            scratch=$(mktemp -d -- "$directory/kubeops-scratch.XXXXXXXXXX") && return
        fi
    done
    echo "$bytes bytes are needed, but$seen" >&2
    exit 45
}

say() { # NAME STATUS MILLISECONDS; the text is on stdin
    printf '@%s %s %s %s\n' "$1" "$2" "$3" "$(base64 | tr -d '\n')" >&3
}

try() { # NAME COMMAND...: says how the command ended, and what it printed
    name=$1
    shift
    started=$(date +%s%N)
    "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    status=$?
    took=$((($(date +%s%N) - started) / 1000000))
    if [ "$status" -eq 0 ]; then
        say "$name" 0 "$took" <"$scratch/out"
    else
        tail -c 2000 "$scratch/err" | say "$name" "$status" "$took"
    fi
    return "$status"
}
