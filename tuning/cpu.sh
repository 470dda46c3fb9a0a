#!/usr/bin/env bash
# CPU governor and C-states: how long a core takes to be awake.
set -euo pipefail
# shellcheck source=tuning/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
subject=cpu
about='how fast the cores of the workers run, and how deep they sleep'

values() {
    local core folder
    if [[ ! -e $root/sys/devices/system/cpu/cpu${cores[0]}/cpufreq/scaling_governor ]]; then
        advice 'the frequency cannot be chosen here (a virtual machine, or the firmware decides)'
    fi
    for core in "${cores[@]}"; do
        value sysfs "/sys/devices/system/cpu/cpu$core/cpufreq/scaling_governor" \
            many-idle=keep low-latency='exactly performance' throughput='exactly performance' \
            reason='A worker sleeps and wakes thousands of times a second, and a governor that follows the load lets each burst begin slowly. many-idle would pay for it all day and gain little.' \
            source='Documentation/admin-guide/pm/cpufreq.rst' \
            moves='p99 at low load; scaling_cur_freq'
    done
    for core in "${cores[@]}"; do
        value sysfs "/sys/devices/system/cpu/cpu$core/cpufreq/energy_performance_preference" \
            many-idle=keep low-latency='exactly performance' throughput='exactly performance' \
            reason='Where the processor chooses its own frequency, this is how it is told what to prefer. The governor "performance" sets it too on most machines.' \
            source='Documentation/admin-guide/pm/intel_pstate.rst; Documentation/admin-guide/pm/amd-pstate.rst' \
            moves='as scaling_governor'
    done
    for core in "${cores[@]}"; do
        folder=/sys/devices/system/cpu/cpu$core
        # Without a second state there is nothing to choose.
        if [[ ! -d $root$folder/cpuidle/state1 ]]; then
            advice "cpu$core has no C-states to choose from (a virtual machine, or idle=poll)"
            continue
        fi
        value sysfs "$folder/power/pm_qos_resume_latency_us" \
            many-idle=keep low-latency='exactly 10' throughput=keep \
            reason='States that take longer than this many microseconds to leave are not entered; 0 is no bound. Waking from a deep one takes 100 and more. Unlike /dev/cpu_dma_latency it holds for these cores alone and needs no process to keep a file open.' \
            source='Documentation/admin-guide/pm/cpuidle.rst; Documentation/ABI/testing/sysfs-devices-power' \
            moves='p99 at low load; the times in cpuidle/state*/time. It costs power'
    done
}

main "$@"
