# Asks the API and etcd from a control plane; changes nothing and writes no file.
#
# POSIX sh, read from stdin by `sh -s -- NODE all|objects|etcd`: of the API `objects` asks only for
# those that tell whether the cluster works, `etcd` for nothing. framing.sh is put in front. All
# questions are asked at the same time; what a program says on stderr is in the section `<name>.err`.

export KUBECONFIG=/etc/kubernetes/admin.conf
manifest=/etc/kubernetes/manifests/etcd.yaml

ask() { # NAME COMMAND...
    name=$1
    shift
    { errors=$(timeout 15 "$@" 2>&1 >&4); } 4>&1
    end "$name" "$?"
    printf '%.3000s' "$errors"
    end "$name.err" 0
}

kube() { # NAME ARGUMENT...
    name=$1
    shift
    ask "$name" kubectl --request-timeout=5s "$@"
}

etcd() { # NAME ARGUMENT...: etcdctl of the host, else that of etcd's own image
    name=$1
    shift
    set -- etcdctl --endpoints "$endpoint" --cacert "$cacert" --cert "$cert" --key "$key" \
        --command-timeout=5s "$@" -w json
    if has etcdctl; then
        ask "$name" "$@"
    elif [ -n "$container" ]; then
        ask "$name" crictl exec "$container" "$@"
    else
        kube "$name" -n kube-system exec "etcd-$node" -- "$@"
    fi
}

version() { kube version version -o json; }
objects() { kube objects -n kube-system get nodes,deployments,daemonsets -o json; }
named() {
    kube named -n kube-system get namespace/kube-system configmap/kubeadm-config \
        configmap/kubeops --ignore-not-found -o json
}
health() { etcd health endpoint health --cluster; }
status() { etcd status endpoint status --cluster; }
alarms() { etcd alarms alarm list; }

together() { # FUNCTION...: all at the same time, their output one after the other
    [ "$#" -gt 0 ] || return 0
    "$1" | {
        shift
        together "$@"
        cat
    }
}

member_flags() { # the etcd member's own: nothing about it is assumed; `unsaid` is what it lacks
    endpoint='' cacert='' cert='' key=''
    while read -r dash flag _ || [ -n "$dash" ]; do
        flag=${flag#[\"\']} flag=${flag%[\"\']}
        case $dash$flag in
        ---listen-client-urls=*) endpoint=${flag#*=} endpoint=${endpoint%%,*} ;;
        ---trusted-ca-file=*) cacert=${flag#*=} ;;
        ---cert-file=*) cert=${flag#*=} ;;
        ---key-file=*) key=${flag#*=} ;;
        esac
    done <"$manifest"
    unsaid=''
    [ -n "$endpoint" ] || unsaid=listen-client-urls
    [ -n "$cacert" ] || unsaid=trusted-ca-file
    [ -n "$cert" ] || unsaid=cert-file
    [ -n "$key" ] || unsaid=key-file
}

members() {
    if [ -z "$unsaid" ]; then
        etcd members member list
        return
    fi
    end members 1
    printf '%s has no flag --%s' "$manifest" "$unsaid"
    end members.err 0
}

etcd_container() {
    has etcdctl || ! has crictl || crictl ps -q --name '^etcd$' 2>/dev/null | head -n 1
}

main() {
    node=$1
    case $2 in
    all) set -- version objects named ;;
    objects) set -- objects ;;
    etcd) set -- ;;
    esac
    announce
    if [ -e "$manifest" ]; then
        member_flags
        if [ -z "$unsaid" ]; then
            container=$(etcd_container)
            set -- health status alarms "$@"
        fi
        set -- members "$@"
    fi
    together "$@"
    section ended true
}

main "$@" </dev/null
