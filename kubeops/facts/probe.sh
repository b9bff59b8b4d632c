# Reads the state of this host and prints it in sections; changes nothing and writes no file.
#
# POSIX sh, read from stdin by `sh -s -- [URL]`; URL is a file of the package source to ask for.
# framing.sh is put in front. Whatever is missing on the host (a program, a file, systemd) leaves
# its section out. Slow programs run at the same time in the background; their sections stay below
# PIPE_BUF, so that they never mix.
#
# To start a program costs a host a millisecond, more than most of the answers: what the shell can do, or
# the kernel says in a file, is not asked of a program.
#
# Private keys never leave the host: of certificates and kubeconfigs only public parts are read.

packages='kubeadm kubelet kubectl cri-tools kubernetes-cni containerd containerd.io runc docker-ce
  docker.io etcd-client etcd-server apt-transport-https ca-certificates chrony conntrack curl
  ebtables ethtool gnupg gpg iproute2 iptables kmod nftables socat systemd-timesyncd util-linux
  unattended-upgrades zstd'
units='kubelet containerd ufw firewalld unattended-upgrades'
programs='apt-get bash dnf dpkg rpm systemctl kubeadm kubelet kubectl crictl ctr containerd runc docker
  etcd etcdctl etcdutl conntrack cp curl ebtables ethtool flock gpg ip iptables losetup modprobe
  mount nft nsenter openssl python3 setsid sha256sum socat ss sudo swapoff tar timeout tc wget zstd'
modules='overlay br_netfilter nf_conntrack ip_tables nf_tables ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh
  vxlan bridge veth'
sysctls='net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.bridge.bridge-nf-call-iptables
  net.bridge.bridge-nf-call-ip6tables fs.inotify.max_user_instances fs.inotify.max_user_watches
  kernel.panic kernel.panic_on_oops vm.overcommit_memory vm.swappiness'
directories='/ /var/lib/etcd /var/lib/containerd /var/lib/kubelet /var/cache/apt /etc/kubernetes'
locks='/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock
  /var/cache/apt/archives/lock'

aside() { # NAME COMMAND...: a section written in one piece, stderr included
    name=$1
    shift
    if body=$("$@" 2>&1); then status=0; else status=$?; fi
    printf '%.3000s\n@@%s %s %s\n' "$body" "$boundary" "$status" "$name"
}

without_stderr() { # PROGRAM ARGUMENT...: takes the place of this shell
    exec "$@" 2>/dev/null
}

ask_wget() { # URL: as curl with -w, the index and then status and seconds; or wget's own words
    read -r began _ </proc/uptime
    # Its --timeout is of one address, and a name may have many.
    index=$(timeout 10 wget -nv --tries=1 -O - "$1" 2>&1)
    case $?:$index in
    0:*) answer=200 ;;
    *' ERROR '[1-5][0-9][0-9]:*) answer=${index##*' ERROR '} answer=${answer%%:*} ;;
    124:*)
        echo 'wget: no answer within 10 s'
        return 1
        ;;
    *)
        printf '%s\n' "${index:-wget failed without a word}"
        return 1
        ;;
    esac
    read -r ended _ </proc/uptime
    took=$((${ended%.*}${ended#*.} - ${began%.*}${began#*.})) # hundredths
    printf '%s\n%s %d.%02d\n' "$index" "$answer" "$((took / 100))" "$((took % 100))"
}

source_answer() { # URL: the versions of kubeadm in that index; status and seconds on the last line
    if has curl; then
        index=$(curl -sSL --max-time 10 -w '\n%{http_code} %{time_total}\n' "$1") || return
    elif has wget; then
        index=$(ask_wget "$1") || {
            printf '%s\n' "$index"
            return 1
        }
    else
        echo 'neither curl nor wget is installed'
        return 127
    fi
    printf '%s\n' "$index" | awk '
        $1 == "Package:" { name = $2 }
        $1 == "Version:" && name == "kubeadm" { print $2 }
        { last = $0 }
        END { print last }'
}

later() { # NAME PROGRAM ARGUMENT...: aside, in the background, when the program exists
    if has "$2"; then
        name=$1
        shift
        aside "$name" without_stderr "$@" &
    fi
}

unpackaged() { # PROGRAM [PACKAGE]: it is not dpkg that knows its version
    [ ! -e "/var/lib/dpkg/info/${2-$1}.list" ] || [ "$(command -v "$1")" != "/usr/bin/$1" ]
}

# Those with a file: systemctl takes as long as half of this script, and longer with every unit it is
# asked about, known to it or not.
units_there() { # sets `found`
    found=''
    for unit in $units; do
        for place in /etc/systemd/system /run/systemd/transient /run/systemd/system \
            /run/systemd/generator /run/systemd/generator.early /run/systemd/generator.late \
            /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
            if [ -e "$place/$unit.service" ] || [ -L "$place/$unit.service" ]; then
                found="$found $unit"
                break
            fi
        done
    done
}

# Starting a kubeadm, kubelet, kubectl or containerd costs more than all the rest of this script: of those
# that came as packages dpkg tells the version.
# shellcheck disable=SC2016,SC2086
slow() { # [URL]
    if [ -n "${1-}" ]; then aside source source_answer "$1" & fi
    ! unpackaged kubeadm || later kubeadm kubeadm version -o short
    ! unpackaged kubelet || later kubelet kubelet --version
    ! unpackaged kubectl || later kubectl kubectl version --client -o json
    ! unpackaged containerd || ! unpackaged containerd containerd.io ||
        later containerd containerd --version
    units_there
    [ -z "$found" ] || later units systemctl show -p Id,LoadState,UnitFileState,ActiveState $found
    if [ -d /etc/kubernetes/tmp ]; then later kubeadm-tmp du -sk /etc/kubernetes/tmp; fi
    ! has dpkg-query || aside packages without_stderr dpkg-query -W \
        -f '${Package}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\n' $packages
    wait
}

found_programs() {
    for program in $programs; do
        ! has "$program" || echo "$program"
    done
}

present() { # MODULE
    # Built in without parameters it is not below /sys/module.
    [ -d "/sys/module/$1" ] ||
        { [ "$1" = br_netfilter ] && [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; }
}

present_modules() {
    for module in $modules; do
        ! present "$module" || echo "$module"
    done
}

loadable_modules() {
    for module in overlay br_netfilter; do
        # What is present is not asked about again.
        present "$module" || ! modprobe --dry-run --quiet "$module" 2>/dev/null || echo "$module"
    done
}

# Who holds a port is asked only where that matters and is not kubeadm's work: it is looked for in
# every process of the host.
tcp_listeners() {
    listening=$(ss -Hltn) || return
    if [ ! -e /etc/kubernetes/kubelet.conf ]; then
        case $listening in
        *:6443\ * | *:2379\ * | *:2380\ * | *:10250\ * | *:10257\ * | *:10259\ *)
            ss -Hltnp
            return
            ;;
        esac
    fi
    printf '%s\n' "$listening"
}

# A probe's own `kubeadm version` does not count, nor does a kubeadm in a container.
running_kubeadm() {
    for comm in /proc/[0-9]*/comm; do
        if read -r line <"$comm" && [ "$line" = kubeadm ] &&
            [ "${comm%comm}ns/pid" -ef /proc/self/ns/pid ]; then
            case " $(tr '\0' ' ' <"${comm%comm}cmdline")" in
            *' init '* | *' join '* | *' upgrade '* | *' reset '*)
                echo yes
                return
                ;;
            esac
        fi
    done
    echo no
}

# One process reads every text file, each into a section named like the file. Missing: no section.
# At the end it passes on what the slow programs say.
text_files() {
    set --
    for sysctl in $sysctls; do
        # Dots become slashes without a process.
        rest=$sysctl path=/proc/sys
        while [ "$rest" != "${rest#*.}" ]; do
            path=$path/${rest%%.*} rest=${rest#*.}
        done
        set -- "$@" "$path/$rest"
    done
    read -r kernel </proc/sys/kernel/osrelease
    pki=/etc/kubernetes/pki
    manifests=/etc/kubernetes/manifests
    awk -v boundary="$boundary" -v modules="$modules" '
        function wanted(file, line) {
            if (file ~ /\.(crt|pem)$/) {
                if (line ~ /^-----BEGIN CERTIFICATE-----/) inside = 1
                if (line ~ /^-----END /) { was = inside; inside = 0; return was }
                return inside
            }
            if (file ~ /^\/etc\/kubernetes\/[^\/]*\.conf$/)
                return line ~ /^[ -]*(server|client-certificate-data|client-certificate): /
            if (file == "/etc/fstab") {
                split(line, entry)
                return entry[3] == "swap" && entry[1] !~ /^#/
            }
            if (file == "/proc/meminfo") return line ~ /^MemTotal:/
            if (file == "/proc/filesystems") return line ~ /overlay$/
            if (file == "/proc/self/status") return line ~ /^Cpus_allowed_list:/
            if (file == "/proc/net/fib_trie") {
                # An address, and below it what it is to the host.
                if (line ~ /\|-- /) address = line
                if (line !~ /\/32 host LOCAL/) return 0
                print address
                return 1
            }
            if (file ~ /\/modules\.builtin$/) {
                name = line
                sub(/^.*\//, "", name)
                sub(/\.ko.*$/, "", name)
                return name in interesting
            }
            return 1
        }
        BEGIN {
            count = split(modules, names)
            for (i = 1; i <= count; i++) interesting[names[i]] = 1
            for (i = 1; i < ARGC; i++) {
                file = ARGV[i]
                inside = 0
                lines = 0
                while ((more = (getline line < file)) > 0) {
                    lines++
                    if (wanted(file, line)) print line
                }
                if (more == 0 || lines > 0) printf "\n@@%s 0 %s\n", boundary, file
                if (more == 0) close(file)
            }
            while ((getline line < "-") > 0) print line
        }' /etc/os-release /proc/sys/kernel/hostname /proc/sys/kernel/osrelease \
        /proc/sys/kernel/arch /etc/machine-id /proc/sys/kernel/random/boot_id \
        /proc/meminfo /proc/swaps /etc/fstab /proc/locks /proc/filesystems \
        /proc/self/status /sys/devices/system/cpu/online \
        /proc/net/fib_trie /proc/net/if_inet6 \
        "/lib/modules/$kernel/modules.builtin" "$@" \
        /etc/containerd/config.toml /var/lib/kubeops/unfinished \
        /var/lib/kubeops/unfinished-upgrade \
        $manifests/etcd.yaml $manifests/kube-apiserver.yaml \
        $manifests/kube-controller-manager.yaml $manifests/kube-scheduler.yaml \
        $pki/*.crt $pki/etcd/*.crt \
        /etc/kubernetes/admin.conf /etc/kubernetes/super-admin.conf \
        /etc/kubernetes/controller-manager.conf /etc/kubernetes/scheduler.conf \
        /etc/kubernetes/kubelet.conf /var/lib/kubelet/pki/kubelet-client-current.pem 2>/dev/null
}

# Modes and owners of everything kubeops writes or relies on.
files() {
    # shellcheck disable=SC2086
    section files stat -L -c '%a %U:%G %i %n' /etc/fstab /etc/modules-load.d/*.conf \
        /etc/sysctl.d/*.conf /etc/containerd/config.toml /etc/crictl.yaml \
        /etc/apt/sources.list.d/* /etc/apt/keyrings/* /etc/cni/net.d/* \
        /etc/systemd/system/kubeops-* /etc/kubernetes/manifests/*.yaml \
        /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/*.pub /etc/kubernetes/pki/etcd/*.crt \
        /var/lib/kubelet/config.yaml $locks /etc/kubernetes /etc/kubernetes/*.conf \
        /etc/kubernetes/manifests /etc/kubernetes/pki /etc/kubernetes/pki/*.key \
        /etc/kubernetes/pki/etcd/*.key /var/lib/etcd /var/lib/etcd/member /var/lib/kubelet
    sums /etc/modules-load.d/kubernetes.conf /etc/sysctl.d/90-kubernetes.conf \
        /etc/containerd/config.toml /etc/crictl.yaml /etc/apt/sources.list.d/kubernetes.list \
        /etc/apt/keyrings/kubernetes.* /etc/cni/net.d/* /etc/systemd/system/kubeops-* \
        /etc/kubernetes/manifests/*.yaml /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/*.pub \
        /etc/kubernetes/pki/etcd/*.crt /var/lib/kubelet/config.yaml
}

sums() { # FILE...: of those that are there, if any; none of them holds a secret
    for file; do
        shift
        [ ! -f "$file" ] || set -- "$@" "$file"
    done
    [ "$#" -eq 0 ] || section sums sha256sum "$@"
}

filesystems() {
    set --
    for directory in $directories; do
        while [ ! -d "$directory" ]; do
            directory=${directory%/*}
            directory=${directory:-/}
        done
        set -- "$@" "$directory"
    done
    section filesystems stat -f -c '%a %S %n %T' /sys/fs/cgroup "$@"
}

fast() {
    files
    filesystems
    # Kernels before 6.2 do not say it in a file.
    [ -e /proc/sys/kernel/arch ] || section architecture uname -m
    section programs found_programs
    section modules present_modules
    section loadable loadable_modules
    section kubeadm-running running_kubeadm
    [ ! -d /etc/kubernetes/tmp ] || section kubeadm-backups ls -1tr /etc/kubernetes/tmp
    # For the kernel's file it walks through a table of all connections there might be; ss does not.
    if has ss; then
        section listeners tcp_listeners
    else
        section tcp cat /proc/net/tcp /proc/net/tcp6
    fi
    text_files
}

uptime() { # How much later it is at the end, the kernel says without a program.
    read -r seconds _ </proc/uptime && echo "$seconds"
}

main() {
    announce
    section started date +%s.%N
    section uptime uptime
    slow "$@" | fast
    section ended uptime
}

# In one piece: written as it comes it would be some thirty packets, each waking four processes.
whole=$(main "$@" </dev/null)
printf '%s\n' "$whole"
