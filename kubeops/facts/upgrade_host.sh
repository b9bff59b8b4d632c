# Asks a host what an upgrade depends on; changes nothing and writes no file.
#
# POSIX sh, read from stdin by `sh -s -- ARGUMENT...`, each argument one of
#   source:MINOR=URL      the package source of a minor release: what does it offer?
#   manifests:VERSION     what would kubeadm, writing VERSION's manifests, change in those here?
# framing.sh is put in front. All questions are asked at the same time; what a program says on
# stderr is in the section `<name>.err`.

export KUBECONFIG=/etc/kubernetes/admin.conf

apart() { # NAME COMMAND...
    name=$1
    shift
    { errors=$("$@" 2>&1 >&4); } 4>&1
    end "$name" "$?"
    printf '%.3000s' "$errors"
    end "$name.err" 0
}

# A line per package: name, version.
offers() { # URL
    index=$(curl --fail --silent --show-error --location --max-time 20 "${1%/}/Packages") &&
        printf '%s\n' "$index" | awk '
            $1 == "Package:" { name = $2 }
            $1 == "Version:" && name ~ /^(kubeadm|kubelet|kubectl)$/ {
                print name, $2
            }'
}

together() { # ARGUMENT...: one question each, their output one after the other
    [ "$#" -gt 0 ] || return 0
    about=${1#*:}
    case $1 in
    source:*) apart "offers ${about%%=*}" offers "${about#*=}" ;;
    manifests:*) apart manifests timeout 20 kubeadm upgrade diff "$about" ;;
    esac | {
        shift
        together "$@"
        cat
    }
}

main() {
    announce
    section kubelet-config cat /var/lib/kubelet/config.yaml
    together "$@"
    section ended true
}

main "$@" </dev/null
