#!/usr/bin/env bash
# Conntrack bypass: tunnels need no entry in a table of connections.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=conntrack
about='whether each tunnel takes entries in the table of tracked connections'

values() {
    # One entry for each side of a tunnel that is tracked, and a tenth for everything else.
    local many="at least $((tunnels_many * 22 / 10))" few="at least $((tunnels_few * 22 / 10))" rules refused
    if [[ ! -e $root/proc/sys/net/netfilter/nf_conntrack_count ]]; then
        advice 'connections are not tracked here: there is nothing to bypass'
        rules=keep
    elif ((${#ports[@]} + ${#backend_sides[@]} == 0)); then
        advice 'say what to bypass: --port for each port that Ringway listens on, --backend-side for the networks of backends'
        rules=keep
    elif refused=$(untracked_refused); then
        advice "$refused"
        rules=keep
    else
        rules="exactly $(bypass)"
        if ((${#ports[@]} > 0 && ${#backend_sides[@]} > 0)); then many=keep few=keep; fi
    fi

    value notrack 'inet ringway_notrack' \
        all="$rules" \
        reason='A tunnel would take two entries of some 300 bytes and a look-up for each packet, and when the table is full new connections are dropped without a word. A table of rules of our own tells the kernel not to track them.' \
        source='nft(8), notrack; Documentation/networking/nf_conntrack-sysctl.rst' \
        moves='/proc/sys/net/netfilter/nf_conntrack_count; processor time of nf_conntrack_in in a profile'

    value sysctl net.netfilter.nf_conntrack_max \
        many-idle="$many" low-latency="$few" throughput="$few" \
        reason='Where a side is tracked all the same, the table must hold it: 2.2 x tunnels. An entry is memory only while it is used.' \
        source='Documentation/networking/nf_conntrack-sysctl.rst, nf_conntrack_max' \
        moves='"nf_conntrack: table full, dropping packet" in dmesg; "drop" and "early_drop" in conntrack -S'
}

# A firewall that lets answers in by their state would cut what is not tracked.
untracked_refused() {
    local tool='' missing='' rules
    if grep -q . "$root/proc/net/ip_tables_names" "$root/proc/net/ip6_tables_names" 2>/dev/null; then
        printf 'this host has rules of the old iptables, which cannot be judged from here: nothing is bypassed'
        return 0
    fi
    find_tool nft || return 1
    rules=$("$tool" list ruleset 2>/dev/null) || return 1
    if grep -Eq 'ct state|--ctstate|xt match "(conntrack|state)"' <<<"$rules" && ! grep -Eq 'untracked|UNTRACKED' <<<"$rules"; then
        printf 'the firewall here judges by "ct state" and would drop what is not tracked: let it accept "ct state untracked" first'
        return 0
    fi
    return 1
}

# Written as nft prints it, so that what is there can be compared.
bypass() {
    local port side family first last
    read -r first last <"$root/proc/sys/net/ipv4/ip_local_port_range"
    printf 'table inet ringway_notrack {\n\tchain prerouting {\n'
    printf '\t\ttype filter hook prerouting priority raw; policy accept;\n'
    for port in "${ports[@]}"; do printf '\t\ttcp dport %d notrack\n' "$port"; done
    for side in "${backend_sides[@]}"; do
        family=ip
        if [[ $side == *:* ]]; then family=ip6; fi
        printf '\t\t%s saddr %s tcp dport %d-%d notrack\n' "$family" "$side" "$first" "$last"
    done
    printf '\t}\n\n\tchain output {\n\t\ttype filter hook output priority raw; policy accept;\n'
    for port in "${ports[@]}"; do printf '\t\ttcp sport %d notrack\n' "$port"; done
    for side in "${backend_sides[@]}"; do
        family=ip
        if [[ $side == *:* ]]; then family=ip6; fi
        printf '\t\t%s daddr %s tcp sport %d-%d notrack\n' "$family" "$side" "$first" "$last"
    done
    printf '\t}\n}'
}

# --- Kind: a table of nftables, or its absence ---

read_notrack() {
    local tool=''
    find_tool nft || return 2
    # shellcheck disable=SC2086 # The family and the name are two words.
    now=$("$tool" list table $1 2>/dev/null) || now=absent
}
write_notrack() {
    local tool='' text="table $1"$'\n'"delete table $1"
    find_tool nft
    # Naming it first makes the deletion right whether it is there or not; the whole is one transaction.
    if [[ $2 != absent ]]; then text+=$'\n'$2; fi
    complaint=$(printf '%s\n' "$text" | "$tool" -f - 2>&1)
}
remedy_notrack() { printf 'Run it as root, on a kernel with nf_tables (modprobe nft_ct).'; }

main "$@"
