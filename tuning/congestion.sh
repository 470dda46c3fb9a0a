#!/usr/bin/env bash
# Congestion control per side: clients over the Internet, backends over a quiet network.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=congestion
about='how fast to send to clients, and how fast to backends'

values() {
    if offers bbr; then
        value sysctl net.ipv4.tcp_congestion_control \
            many-idle=keep low-latency='exactly bbr' throughput='exactly bbr' \
            reason='For clients: BBR does not take the random losses of Wi-Fi and mobile networks for congestion, and keeps the queue before the slowest link short. Small messages now and then (many-idle) never fill a window, so nothing would change for them.' \
            source='tcp(7), tcp_congestion_control; draft-ietf-ccwg-bbr' \
            moves='bytes a second and round trips of clients over lossy paths: "rtt", "delivery_rate" and "retrans" of "ss -ti"'
    else
        advice 'this kernel has no BBR (modprobe tcp_bbr), so tcp_congestion_control stays as it is'
    fi

    local side
    for side in "${backend_sides[@]}"; do
        value route "$side" \
            all="exactly $(steered "$side")" \
            reason='For backends: on a short path with few losses CUBIC has nothing to mend, and does not stop every 10 s to measure the path as BBR does. The attribute of the route beats the default for its side alone.' \
            source='ip-route(8), congctl; RFC 9438' \
            moves='the algorithm in "ss -ti dst CIDR"; p99 of handshakes and round trips to backends'
    done
    if ((${#backend_sides[@]} == 0)); then
        advice 'name the networks of your backends (--backend-side 10.0.0.0/8) and they keep CUBIC whatever clients get'
    fi

    value sysctl net.ipv4.tcp_slow_start_after_idle \
        many-idle=keep low-latency='exactly 0' throughput='exactly 0' \
        reason='A tunnel that was silent for one retransmission timeout begins with the first window again, so the first large message after a pause takes more round trips. BBR is not concerned; CUBIC is.' \
        source='Documentation/networking/ip-sysctl.rst, tcp_slow_start_after_idle; RFC 2861' \
        moves='"cwnd" of "ss -ti" after a pause; time of the first message over 14 KiB'

    value sysctl net.ipv4.tcp_mtu_probing \
        all='at least 1' \
        reason='Where a router drops large packets and its message about it is filtered, small messages pass and large ones hang until the tunnel dies. With 1 TCP tries smaller packets once that is suspected, and not before.' \
        source='Documentation/networking/ip-sysctl.rst, tcp_mtu_probing; RFC 4821' \
        moves='TcpExtTCPMTUPSuccess and TcpExtTCPMTUPFail in nstat; tunnels ended by stalled_write_timeout'

    value sysctl net.ipv4.tcp_thin_linear_timeouts \
        many-idle=keep low-latency='exactly 1' throughput=keep \
        reason='A game or a chat has fewer than four packets under way, so a loss is only mended by the timer, which doubles each time. With 1 the first six waits of such a thin stream stay equal.' \
        source='Documentation/networking/tcp-thin.rst; ip-sysctl.rst, tcp_thin_linear_timeouts' \
        moves='p99.9 of messages over lossy paths; TcpExtTCPTimeouts in nstat'
}

# Writing the name loads the module, if there is one.
offers() {
    local tool='' missing=''
    grep -qw "$1" "$root/proc/sys/net/ipv4/tcp_available_congestion_control" 2>/dev/null && return 0
    find_tool modinfo && "$tool" "tcp_$1" >/dev/null 2>&1
}

# The route as it is, with the algorithm.
steered() {
    local now='' missing='' before=''
    read_route "$1" || now=$1
    printf '%s congctl cubic' "$(sed -E 's/ congctl (lock )?[a-z0-9_]+//' <<<"$now")"
}

# --- Kind: the one route to exactly this network ---

ip_route() {
    local family=-4
    if [[ $1 == *:* ]]; then family=-6; fi
    "$tool" "$family" route "${@:2}"
}
read_route() {
    local tool=''
    find_tool ip || return 2
    # Two words that say how the link is now, and that "ip route" does not take back.
    now=$(ip_route "$1" show exact "$1" 2>/dev/null | sed -E 's/ (linkdown|dead)//g; s/ +$//') || now=''
    if [[ -z $now || $now == *$'\n'* ]]; then
        missing="there is no route, or more than one, to exactly $1 (ip route show exact $1)"
        return 1
    fi
}
write_route() {
    local tool='' words
    find_tool ip
    read -ra words <<<"$2"
    complaint=$(ip_route "$1" change "${words[@]}" 2>&1)
}
remedy_route() { printf 'Run it as root; the algorithm must be in net.ipv4.tcp_available_congestion_control.'; }

main "$@"
