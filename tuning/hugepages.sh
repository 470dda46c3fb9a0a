#!/usr/bin/env bash
# Transparent huge pages: 2 MiB where somebody asks for them, not everywhere.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=hugepages
about='whether memory comes in pages of 2 MiB unasked'

values() {
    value choice /sys/kernel/mm/transparent_hugepage/enabled \
        many-idle='exactly madvise' low-latency='exactly madvise' throughput=keep \
        reason='With "always" the first byte touched may take 2 MiB, so memory that many small tunnels touch here and there is counted up to 512 times, and khugepaged moves pages under running workers. With "madvise" whoever gains asks for it.' \
        source='Documentation/admin-guide/mm/transhuge.rst' \
        moves='AnonHugePages and Rss in /proc/PID/smaps_rollup; thp_fault_alloc and compact_stall in /proc/vmstat'
}

main "$@"
