# Asks the API, on a control plane, what an upgrade depends on; changes nothing, writes no file.
#
# POSIX sh, read from stdin by `sh -s -- TABLE NODE=URL...`: the template of a line per pod, and the
# API servers by the node they run on.
# framing.sh is put in front. API servers and pods are asked at the same time.
#
# Evictions are tried as server-side dry runs, pod by pod: kubectl's own dry run of a drain retries
# for ever against a budget without room. Only running pods in namespaces that have a budget are
# tried: elsewhere nothing refuses an eviction but an admission webhook.

export KUBECONFIG=/etc/kubernetes/admin.conf

kube() {
    kubectl --request-timeout=10s "$@"
}

kept() { # NAME TEXT STATUS: a section of what has been read already
    printf '%s' "$2"
    end "$1" "$3"
}

# The deprecated APIs somebody asked this server for since it started.
requested() { # URL
    found=$(kube --server "$1" get --raw /metrics) || return
    printf '%s\n' "$found" | grep '^apiserver_requested_deprecated_apis{' || true
}

pods() { # TABLE
    kube get pods --all-namespaces -o "jsonpath=$1"
}

# A line per pod that a drain would evict and a budget may cover: namespace, name, status, words.
# shellcheck disable=SC2016
evictions() { # PODS NAMESPACES
    printf '%s\n' "$1" | awk -F '\t' -v budgeted="$2" '
        BEGIN { count = split(budgeted, names, " "); for (i = 1; i <= count; i++) has[names[i]] }
        $1 in has && $4 != "" && $5 == "Running" && $6 != "DaemonSet" && $7 == "" && $8 == "" {
            print $1, $2
        }' | xargs -r -P 8 -n 2 sh -c '
            said=$(printf "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\"},\"deleteOptions\":{\"dryRun\":[\"All\"]}}" "$2" "$1" |
                kubectl --request-timeout=10s create -f - \
                    --raw "/api/v1/namespaces/$1/pods/$2/eviction" 2>&1)
            status=$?
            printf "%s\t%s\t%s\t%.900s\n" "$1" "$2" "$status" \
                "$(printf %s "$said" | tr "\n\t" "  ")"
        ' kubeops || true
}

drainability() { # TABLE
    found=$(pods "$1" 2>&1)
    status=$?
    kept pods "$found" "$status"
    budgets=$(kube get poddisruptionbudgets --all-namespaces -o json 2>&1)
    kept budgets "$budgets" "$?"
    namespaces=$(kube get poddisruptionbudgets --all-namespaces \
        -o jsonpath='{.items[*].metadata.namespace}' 2>/dev/null)
    [ "$status" != 0 ] || section evictions evictions "$found" "$namespaces"
}

kubelet_config() {
    kube -n kube-system get configmap kubelet-config -o jsonpath='{.data.kubelet}'
}

together() { # NODE=URL...
    [ "$#" -gt 0 ] || return 0
    section "deprecated ${1%%=*}" requested "${1#*=}" | {
        shift
        together "$@"
        cat
    }
}

main() {
    announce
    drainability "$1" | {
        shift
        section kubelet-config kubelet_config
        together "$@"
        cat
    }
    section ended true
}

main "$@" </dev/null
