#!/usr/bin/env bash
# Busy polling: why it stays off, and interrupts that wait a little.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=busy-poll
about='whether the kernel spins for packets'

values() {
    value sysctl net.core.busy_poll \
        all='exactly 0' \
        reason='It makes poll() and select() spin. Ringway waits in its io_uring, which spins only for programs that register for it; this number would burn cores of others and gain nothing here.' \
        source='Documentation/admin-guide/sysctl/net.rst, busy_poll; io_uring_register_napi(3); io_uring/napi.c' \
        moves='idle processor time; TcpExtBusyPollRxPackets in nstat'

    value sysctl net.core.busy_read \
        all='exactly 0' \
        reason='It makes each read of an empty socket look at the card first. Receives of the ring are re-armed on empty sockets all the time, so each would pay for one look.' \
        source='Documentation/admin-guide/sysctl/net.rst, busy_read; SO_BUSY_POLL in socket(7)' \
        moves='as busy_poll'

    local interface
    for interface in "${interfaces[@]}"; do
        # First the number of polls, then the time: with one alone nothing changes.
        value sysfs "/sys/class/net/$interface/napi_defer_hard_irqs" \
            many-idle=keep low-latency='exactly 0' throughput='at least 2' \
            reason='After a batch of packets the card is looked at again so many times, gro_flush_timeout apart, before its interrupt is armed: fewer interrupts under load, up to that much later for a lone packet.' \
            source='Documentation/networking/napi.rst, Software IRQ coalescing' \
            moves='interrupts a second in /proc/interrupts; processor time a message; p50 rises by up to the timeout'
        value sysfs "/sys/class/net/$interface/gro_flush_timeout" \
            many-idle=keep low-latency='exactly 0' throughput='at least 20000' \
            reason='How far apart those looks are, in nanoseconds: 20 microseconds.' \
            source='Documentation/networking/napi.rst, Software IRQ coalescing' \
            moves='as napi_defer_hard_irqs'
    done
}

main "$@"
