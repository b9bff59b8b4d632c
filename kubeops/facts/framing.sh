# The framing both scripts share; it is put in front of them. See kubeops/facts/probe.py.
#
# The first line announces a boundary that no section can contain; every section ends with a line
# `@@<boundary> <exit status> <name>`. The last section is called `ended`.

export LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

has() {
    command -v "$1" >/dev/null 2>&1
}

announce() {
    read -r boundary </proc/sys/kernel/random/uuid || boundary=$(date +%s)-$$
    printf '@@facts %s\n' "$boundary"
}

end() { # NAME STATUS: ends a section
    printf '\n@@%s %s %s\n' "$boundary" "$2" "$1"
}

section() { # NAME COMMAND...
    name=$1
    shift
    "$@" 2>/dev/null
    end "$name" "$?"
}
