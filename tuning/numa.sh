#!/usr/bin/env bash
# NUMA and isolated cores: memory stays, and others keep off.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=numa
about='whether the kernel moves memory and its own work about the workers'

values() {
    local balancing=keep nodes=("$root"/sys/devices/system/node/node[0-9]*)
    if ((${#nodes[@]} > 1)); then balancing='exactly 0'; else advice 'there is one memory node: nothing to balance'; fi

    value sysctl kernel.numa_balancing \
        all="$balancing" \
        reason='Workers are pinned and touch their memory first, so it lies right. The balancer takes pages away at times only to see who misses them.' \
        source='Documentation/admin-guide/sysctl/kernel.rst, numa_balancing' \
        moves='numa_hint_faults and numa_pages_migrated in /proc/vmstat; p99'

    local others
    mapfile -t others < <(comm -23 <(expand "$(cat "$root/sys/devices/system/cpu/online" 2>/dev/null)" | sort) \
        <(printf '%s\n' "${cores[@]}" | sort) | sort -n)
    if ((${#others[@]} > 0)); then
        value mask /sys/devices/virtual/workqueue/cpumask \
            many-idle=keep low-latency="exactly $(mask_of "${others[@]}")" throughput=keep \
            reason='Work of the kernel that is tied to no core (writing back, cleaning up) goes to the cores that --cores leaves free.' \
            source='Documentation/core-api/workqueue.rst, Affinity Scopes and unbound workqueues' \
            moves='p99.9; kworker/u* on the cores of workers in top'
        if [[ $profile == low-latency ]]; then
            local list
            list=$(printf '%s\n' "${cores[@]}" | paste -sd, -)
            advice "at the next boot, to keep everything else off as well: isolcpus=managed_irq,domain,$list nohz_full=$list rcu_nocbs=$list"
        fi
    else
        advice 'leave a core out of --cores (and of workers.cores) if latency matters, for the system and the control thread'
    fi

    local interface node
    for interface in "${interfaces[@]}"; do
        node=$(cat "$root/sys/class/net/$interface/device/numa_node" \
            "$root/sys/class/net/$interface/device/../numa_node" 2>/dev/null | head -n 1) || true
        if ((${#nodes[@]} > 1 && ${node:--1} >= 0)); then
            advice "$interface is on node $node: workers.cores = [$(cat "$root/sys/devices/system/node/node$node/cpulist")] are nearest to it"
        fi
    done
}

main "$@"
