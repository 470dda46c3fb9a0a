#!/usr/bin/env bash
# TCP memory and buffers: what the kernel may hold for all tunnels, and for one.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=tcp-memory
about='what the kernel may hold of bytes on their way'

values() {
    local pages
    pages=$(memory_pages)

    # Pages: an eighth, a sixth and a quarter of the memory. The kernel's own: 4.7, 6.2 and 9.4 %.
    value sysctl net.ipv4.tcp_mem \
        many-idle="at least $((pages / 8)) $((pages / 6)) $((pages / 4))" low-latency=keep \
        throughput="at least $((pages / 8)) $((pages / 6)) $((pages / 4))" \
        reason='All sockets together: in pages, 1/8, 1/6 and 1/4 of MemTotal. Above the second number the kernel shrinks windows, above the third it drops. Its own limits (1/21, 1/16, 1/11) are for a host that does something else besides.' \
        source='Documentation/networking/ip-sysctl.rst, tcp_mem; tcp_init_mem() in net/ipv4/tcp.c' \
        moves='TcpExtTCPMemoryPressures and TcpExtPruneCalled in nstat; used: "mem" of TCP in /proc/net/sockstat'

    value sysctl net.ipv4.tcp_rmem \
        many-idle='at most 4096 131072 1048576' low-latency=keep throughput='at least 4096 131072 16777216' \
        reason='One socket. A buffer is memory only while bytes wait in it, so the default may stay; the last number is how much a client may pile up while its backend is slow. 16 MiB fill a path of 10 Gbit/s and 6 ms (half of the buffer is window).' \
        source='Documentation/networking/ip-sysctl.rst, tcp_rmem; tcp(7)' \
        moves='many-idle: bytes that one stopped tunnel holds ("skmem" of "ss -tm"); throughput: bytes a second over a long path'

    value sysctl net.ipv4.tcp_wmem \
        many-idle='at most 4096 16384 1048576' low-latency=keep throughput='at least 4096 16384 16777216' \
        reason='The same for what is sent: how much of a message a slow client leaves in the kernel, or how much may be under way to a far one.' \
        source='Documentation/networking/ip-sysctl.rst, tcp_wmem; tcp(7)' \
        moves='as tcp_rmem'

    value sysctl net.ipv4.tcp_notsent_lowat \
        many-idle='at most 131072' low-latency='at most 131072' throughput=keep \
        reason='Bytes that the peer has no room for yet: more of them wait in Ringway, where "newest" can still drop old messages and "queue" can count them, and not in the kernel, where they grow old and hold memory.' \
        source='Documentation/networking/ip-sysctl.rst, tcp_notsent_lowat; tcp(7), TCP_NOTSENT_LOWAT' \
        moves='"notsent" of "ss -ti"; the age of the messages a slow reader gets'

    value sysctl net.ipv4.tcp_max_orphans \
        many-idle='at least 262144' low-latency=keep throughput=keep \
        reason='Sockets that are closed here but still have bytes to deliver. When many tunnels end at once (a drain, a lost network), those over the bound are reset, and their Close frame with them.' \
        source='Documentation/networking/ip-sysctl.rst, tcp_max_orphans' \
        moves='TcpExtTCPAbortOnMemory in nstat, "too many orphaned sockets" in dmesg; used: "orphan" in /proc/net/sockstat'
}

main "$@"
