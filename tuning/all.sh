#!/usr/bin/env bash
# Every subject of tuning/, one after the other, with the same verb and options.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")

# Queues before their interrupts: changing the first makes new ones of the second.
subjects=(limits sockets tcp-memory ports congestion conntrack hugepages cpu numa nic irq busy-poll)

worst=0
for argument in "$@"; do
    if [[ $argument == --help || $argument == -h ]]; then
        printf 'tuning/all.sh runs these, in this order: %s\n\n' "${subjects[*]}"
        bash "$here/sockets.sh" --help | sed '1,2d; s|tuning/sockets.sh|tuning/all.sh|'
        exit 0
    fi
done
for subject in "${subjects[@]}"; do
    code=0
    bash "$here/$subject.sh" "$@" || code=$?
    # What is wrong for one is wrong for all.
    if ((code == 2)); then exit 2; fi
    if ((code > worst)); then worst=$code; fi
    printf '\n'
done
exit "$worst"
