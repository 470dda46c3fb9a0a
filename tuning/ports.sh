#!/usr/bin/env bash
# Port range and TIME_WAIT: how many tunnels fit between this host and one backend address.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=ports
about='how many tunnels fit between one source address and one backend address'

first_port=10240

values() {
    value sysctl net.ipv4.ip_local_reserved_ports \
        many-idle="exactly $(reserved_ports)" low-latency=keep throughput=keep \
        reason='What listens inside the wider range must not be taken by a connection to a backend, or it could not be bound again after a restart. What is reserved already stays; ports that listen now, and those of --port, join.' \
        source='Documentation/networking/ip-sysctl.rst, ip_local_reserved_ports' \
        moves='"Address already in use" when a service starts'

    value sysctl net.ipv4.ip_local_port_range \
        many-idle="exactly $first_port 65535" low-latency=keep throughput=keep \
        reason='Each tunnel takes a port for each backend address and port: 28,232 with the default range, 55,296 with this one. More than that needs more source addresses. One end even and the other odd, as the kernel asks.' \
        source='Documentation/networking/ip-sysctl.rst, ip_local_port_range; ip(7)' \
        moves='EADDRNOTAVAIL: refusals with the reason source_ports_exhausted; ports left: "ringway doctor --tunnels N --backends M"'

    value sysctl net.ipv4.tcp_tw_reuse \
        all='exactly 1' \
        reason='A port whose last connection ended first on this side is closed for 60 s. With timestamps on both sides a new connection to the same backend may take it after one second.' \
        source='Documentation/networking/ip-sysctl.rst, tcp_tw_reuse; RFC 6191' \
        moves='TcpExtTWRecycled in nstat; EADDRNOTAVAIL after many short tunnels'

    value sysctl net.ipv4.tcp_max_tw_buckets \
        many-idle="at least $tunnels_many" low-latency=keep throughput=keep \
        reason='One for each tunnel. A drain ends them within a minute, and each leaves a TIME_WAIT; those over the bound are forgotten, and a late packet of theirs may then hit a new connection. It costs some 250 bytes each, while it lasts.' \
        source='Documentation/networking/ip-sysctl.rst, tcp_max_tw_buckets; RFC 9293, 3.3.2' \
        moves='TcpExtTCPTimeWaitOverflow in nstat; used: "tw" in /proc/net/sockstat'
}

# What was reserved before us, and what listens in the new range or is named by --port and is not reserved yet.
reserved_ports() {
    local kind=sysctl target=net.ipv4.ip_local_reserved_ports now='' missing='' before='' had joins
    read_now "$kind" "$target" || true
    if remembered; then now=$before; fi
    had=$(expand "$now")
    joins=$(
        {
            # State 0A is LISTEN; the port is the hexadecimal number behind the last colon.
            cat "$root"/proc/net/tcp "$root"/proc/net/tcp6 2>/dev/null |
                while read -r _ address _ state _; do
                    if [[ $state == 0A ]]; then printf '%d\n' "0x${address##*:}"; fi
                done
            printf '%s\n' "${ports[@]}"
        } | awk -v first="$first_port" '$1 >= first' | sort -nu | grep -vxF "${had:-none}" | paste -sd, -
    ) || true
    printf '%s' "$now${now:+${joins:+,}}$joins"
}

main "$@"
