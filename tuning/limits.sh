#!/usr/bin/env bash
# File and memlock limits: what one process may open and lock.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=limits
about='how many files the host and the service may have open, and how much memory it may lock'

values() {
    local many few locked_kib=$((${#cores[@]} * 384))
    many=$(files_for "$tunnels_many")
    few=$(files_for "$tunnels_few")
    if ((locked_kib < 512)); then locked_kib=512; fi

    value sysctl fs.nr_open \
        many-idle="at least $many" low-latency="at least $few" throughput="at least $few" \
        reason='The ceiling of every limit on open files: 2.1 x tunnels + 4096, for a tunnel is two sockets. A LimitNOFILE= above it fails and the service does not start.' \
        source='Documentation/admin-guide/sysctl/fs.rst, nr_open; getrlimit(2)' \
        moves='EMFILE: refusals with the reason no_resources; "ringway doctor --tunnels N"'

    value sysctl fs.file-max \
        many-idle="at least $((many + 65536))" low-latency="at least $((few + 65536))" throughput="at least $((few + 65536))" \
        reason='Open files of all processes together: those of Ringway and 65536 for everybody else.' \
        source='Documentation/admin-guide/sysctl/fs.rst, file-max and file-nr' \
        moves='ENFILE, "VFS: file-max limit reached" in dmesg; used: the first number in /proc/sys/fs/file-nr'

    value document /etc/systemd/system/ringway.service.d/60-ringway-limits.conf \
        many-idle="exactly $(service_limits "$many" "$locked_kib")"$'\n' \
        low-latency="exactly $(service_limits "$few" "$locked_kib")"$'\n' \
        throughput="exactly $(service_limits "$few" "$locked_kib")"$'\n' \
        reason='The limits of the service: as many files as above, and locked memory for each core. What io_uring charges to it differs: registered buffers always, rings not from Linux 5.12 on, but 350 KiB a worker were measured on 6.18; and glommio makes no executor under 512 KiB.' \
        source='systemd.exec(5), LimitNOFILE= and LimitMEMLOCK=; io_uring_setup(2), RLIMIT_MEMLOCK' \
        moves='"Max open files" and "Max locked memory" in /proc/PID/limits; whether the workers start'

    if [[ $verb == apply ]]; then
        advice 'systemctl daemon-reload && systemctl restart ringway makes the service take its new limits'
    fi
}

# Two sockets for a tunnel, a tenth for handshakes and logs; never under the kernel's usual ceiling.
files_for() {
    local files=$((($1 * 21 / 10 + 4096 + 1023) / 1024 * 1024))
    if ((files < 1048576)); then files=1048576; fi
    printf '%d' "$files"
}

service_limits() {
    printf '# Written by tuning/limits.sh; removed by its undo.\n[Service]\nLimitNOFILE=%d\nLimitMEMLOCK=%dK' "$1" "$2"
}

main "$@"
