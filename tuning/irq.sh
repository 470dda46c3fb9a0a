#!/usr/bin/env bash
# IRQ affinity: the interrupt of a queue comes to the worker that the queue is for.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=irq
about='which core each queue of the network card interrupts'

values() {
    local interface irq queue names=() irqs=()
    for interface in "${interfaces[@]}"; do
        while read -r irq queue; do
            irqs+=("$irq") names+=("$interface")
            value sysfs "/proc/irq/$irq/smp_affinity_list" \
                all="exactly ${cores[queue % ${#cores[@]}]}" \
                reason='Queue N interrupts the core of worker N, so packet, socket and worker share one cache. With steering = "cpu" the listener then takes the connection on that core too.' \
                source='Documentation/core-api/irq/irq-affinity.rst; Documentation/networking/scaling.rst, RSS IRQ Configuration' \
                moves='the columns of /proc/interrupts: each queue counts on one core; ringway_connections_accepted_total level over workers'
        done < <(interrupts_of "$interface")
    done
    if ((${#irqs[@]} == 0)); then
        advice 'no queue has an interrupt of its own here (no card, or one whose driver names none)'
        return 0
    fi
    if grep -qsx irqbalance "$root"/proc/[0-9]*/comm; then
        advice "irqbalance is running and will move them again: systemctl disable --now irqbalance, or start it with$(printf ' --banirq=%s' "${irqs[@]}")"
    fi
}

# A line "IRQ QUEUE" for each interrupt of a queue. Those of configuration, events and the like are left alone.
interrupts_of() {
    local folder=$root/sys/class/net/$1/device irq action
    if [[ ! -d $folder/msi_irqs ]]; then folder=$folder/..; fi
    for irq in "$folder"/msi_irqs/*; do
        irq=${irq##*/}
        action=$(awk -v irq="$irq:" '$1 == irq { print $NF }' "$root/proc/interrupts" 2>/dev/null)
        # As drivers name them: eth0-TxRx-3, ens5-Tx-Rx-3, mlx5_comp3@pci:..., virtio0-input.3, eth0-rx-3, eth0-fp-3.
        if [[ $action =~ (TxRx|Tx-Rx|rxtx|input|output|comp|rx|tx|fp)[.-]?([0-9]+)(@.*)?$ ]]; then
            printf '%d %d\n' "$irq" "$((10#${BASH_REMATCH[2]}))"
        fi
    done
}

main "$@"
