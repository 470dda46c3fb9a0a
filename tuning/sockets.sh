#!/usr/bin/env bash
# Sockets and backlog: who may wait at the door.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=sockets
about='how many connections may wait to be accepted'

values() {
    value sysctl net.core.somaxconn \
        many-idle='at least 65535' low-latency='at least 4096' throughput='at least 4096' \
        reason='The kernel cuts the backlog of each listener down to this. When the queue is full, the last ACK of a handshake is dropped and the client waits a second or more for its next try: a storm of reconnecting clients feels it.' \
        source='listen(2); Documentation/networking/ip-sysctl.rst, somaxconn' \
        moves='TcpExtListenOverflows and TcpExtListenDrops in nstat; the queue itself is Recv-Q of "ss -lnt"'

    value sysctl net.ipv4.tcp_syncookies \
        all='exactly 1' \
        reason='Under a flood of SYNs, connections that complete are still taken. With 1 the cookies start only when the queue is full, and that queue is as long as the backlog.' \
        source='Documentation/networking/ip-sysctl.rst, tcp_syncookies; tcp_conn_request() in net/ipv4/tcp_input.c; RFC 4987' \
        moves='TcpExtTCPReqQFullDoCookies and TcpExtTCPReqQFullDrop in nstat'

    if [[ $profile == many-idle ]]; then
        advice 'raise "backlog" of the listeners in ringway.toml as well: it is 4096 if nothing is said, and the smaller of the two counts'
    fi
}

main "$@"
