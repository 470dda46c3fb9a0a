#!/usr/bin/env bash
# NIC queues: as many as workers, each worker with its own.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=nic
about='how the network card spreads packets over the cores of the workers'

values() {
    local interface
    if ((${#interfaces[@]} == 0)); then advice 'no network card has hardware behind it; name one with --interface'; fi
    for interface in "${interfaces[@]}"; do
        queues_of "$interface"
        rings_of "$interface"
        spread_of "$interface"
    done
}

queues_of() {
    local most
    most=$(largest "$1" channels combined)
    if ((most > ${#cores[@]})); then most=${#cores[@]}; fi
    value ethtool "$1 channels combined" \
        all="$(or_keep "$most")" \
        reason='A queue of its own for each worker (RSS): packets of a connection are handled on one core. More queues than workers mean more interrupts for the same packets. Changing it takes the link down for a moment.' \
        source='Documentation/networking/scaling.rst, RSS; ethtool(8), -L' \
        moves='rx_queue_N_packets in ethtool -S, level over the queues; softirq time of each core in mpstat'
}

rings_of() {
    local interface=$1 ring most
    for ring in rx tx; do
        most=$(largest "$interface" ring "$ring")
        value ethtool "$interface ring $ring" \
            many-idle="$(or_keep "$most")" low-latency=keep throughput="$(or_keep "$most")" \
            reason='Packets that may wait for the driver: a burst (a storm of reconnecting clients, a broadcast) that does not fit is lost. A longer ring also touches more of the cache, so low-latency leaves it.' \
            source='ethtool(8), -G' \
            moves='rx_missed_errors and rx_dropped in ip -s -s link'
    done
    value ethtool "$interface coalesce adaptive-rx" \
        many-idle='exactly on' low-latency='exactly off' throughput='exactly on' \
        reason='The card waits for more packets before it interrupts, the longer the more arrive; for low latency it must not guess.' \
        source='ethtool(8), -C' \
        moves='interrupts a second in /proc/interrupts; p50 and p99'
    value ethtool "$interface coalesce rx-usecs" \
        many-idle=keep low-latency='at most 8' throughput=keep \
        reason='How long the card may hold a packet back. A few microseconds still join those that arrive together.' \
        source='ethtool(8), -C' \
        moves='p50; interrupts a second in /proc/interrupts'
    value ethtool "$interface feature gro" \
        all='exactly on' \
        reason='Packets of one connection that lie in the ring together go up as one. It does not wait for more: what is there is passed on at the end of each poll.' \
        source='ethtool(8), -K; Documentation/networking/segmentation-offloads.rst' \
        moves='processor time a message from 16 KiB on'
}

spread_of() {
    local interface=$1 folder=/sys/class/net/$1/queues queue number mine place off=keep
    local -a sending receiving
    mapfile -t sending < <(queues "$folder" tx)
    mapfile -t receiving < <(queues "$folder" rx)
    for queue in "${sending[@]}"; do
        mine=()
        number=${queue##*-}
        for place in "${!cores[@]}"; do
            if ((place % ${#sending[@]} == number)); then mine+=("${cores[place]}"); fi
        done
        if ((${#mine[@]} == 0)); then continue; fi
        value mask "$queue/xps_cpus" \
            all="exactly $(mask_of "${mine[@]}")" \
            reason='XPS: what a worker sends leaves by the queue of its own core, so no two cores wait for the lock of one queue, and its completion comes back to the same core.' \
            source='Documentation/networking/scaling.rst, XPS' \
            moves='tx_queue_N_packets in ethtool -S; time in _raw_spin_lock under dev_queue_xmit in a profile'
    done
    if ((${#receiving[@]} >= ${#cores[@]})); then off='exactly 0'; fi
    for queue in "${receiving[@]}"; do
        value mask "$queue/rps_cpus" \
            all="$off" \
            reason='RPS off: with a queue for each worker the card has spread the packets already, and RPS would move each to another core by an interrupt between them. With fewer queues than workers it is left as it is.' \
            source='Documentation/networking/scaling.rst, RPS' \
            moves='the tenth column of /proc/net/softnet_stat (packets that another core passed on)'
    done
}

# The folders of the queues of one direction, in order.
queues() {
    local path
    for path in "$root$1/$2"-*; do
        if [[ -d $path ]]; then printf '%s\n' "${path#"$root"}"; fi
    done | sort -V
}

or_keep() {
    if (($1 > 0)); then printf 'exactly %d' "$1"; else printf 'keep'; fi
}

# --- Kind: what ethtool shows and sets: "IF channels|ring|coalesce|feature NAME" ---

read_ethtool() {
    local tool='' interface group name text
    read -r interface group name <<<"$1"
    find_tool ethtool || return 2
    text=$("$tool" "$(letter "$group")" "$interface" 2>/dev/null) || text=''
    now=$(picked "$group" "$name" <<<"$text")
    if [[ -z $now || $now == n/a || $now == *fixed* && $now != on* ]]; then
        now='' missing="the driver of $interface does not offer it"
        return 1
    fi
    now=${now%% *}
}

write_ethtool() {
    local tool='' interface group name
    read -r interface group name <<<"$1"
    find_tool ethtool
    group=$(letter "$group")
    complaint=$("$tool" "${group^^}" "$interface" "$name" "$2" 2>&1)
}
remedy_ethtool() { printf 'Run it as root; if it is root already, the driver does not take this value (ethtool -i %s).' "${target%% *}"; }

# The most that the card can have; 0 if it does not say.
largest() {
    local tool='' missing='' most
    find_tool ethtool || { printf 0; return; }
    most=$("$tool" "$(letter "$2")" "$1" 2>/dev/null | sed '/Current hardware settings/,$d' | picked "$2" "$3") || most=0
    if [[ ! $most =~ ^[0-9]+$ ]]; then most=0; fi
    printf '%d' "$most"
}

letter() {
    case $1 in channels) printf '%s' -l ;; ring) printf '%s' -g ;; coalesce) printf '%s' -c ;; feature) printf '%s' -k ;; esac
}

# The last line with this name: after the maximums come the current settings.
picked() {
    local label=$2
    case $1/$2 in
        coalesce/adaptive-rx) label='Adaptive RX' ;;
        feature/gro) label=generic-receive-offload ;;
    esac
    awk -F: -v label="$label" 'tolower($1) == tolower(label) {
            value = $2
            sub(/^[ \t]+/, "", value)
            if (label == "Adaptive RX") sub(/ .*/, "", value)
        } END { print value }'
}

main "$@"
