# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # Subjects set some of these names and use others.
#
# What every subject of tuning/ shares: verbs, the table of values, memory for undo. Sourced, not run.
#
# A subject sets `subject` and `about`, describes its values in a function `values` and calls `main "$@"`.
# A value is one call, and all that is known about it stands there:
#
#     value sysctl net.core.somaxconn \
#         many-idle='at least 65535' low-latency='at least 4096' throughput=keep \
#         reason='why' source='who says so' moves='the number that shows it'
#
# `keep` leaves the value alone, `exactly X` sets it, `at least X` and `at most X` change it only if it is on the
# wrong side, each number of several for itself.
#
# The promise: before anything is written, what was there is on disk. Only then it is changed. So an apply that is
# cut off anywhere can be undone, and a second apply does not take our own values for the host's.

# shellcheck source=tuning/kinds.sh
source "$(dirname "${BASH_SOURCE[0]}")/kinds.sh"

root=${RINGWAY_TUNING_ROOT:-}                                  # A forged tree for tests: /proc, /sys, /etc and tools.
state_folder=${RINGWAY_TUNING_STATE:-/var/lib/ringway/tuning}
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
LC_ALL=C
export PATH LC_ALL

profiles=(many-idle low-latency throughput)
verb='' profile='' dry_run=''
interfaces=() cores=() cores_asked='' backend_sides=() ports=() tunnels_many=1000000 tunnels_few=20000
failures=0

declare -A before_of=()                                        # "KIND TARGET" to what was there first.
before_order=()
drop_in=()                                                     # Lines of this pass for /etc/sysctl.d.
shown_reason=''

main() {
    read_arguments "$@"
    recall
    [[ $verb == show || -n $dry_run || -n $root ]] || ((EUID == 0)) ||
        stop 1 "only root may change these values: run 'sudo tuning/$subject.sh $verb', or add --dry-run to see what it would do"
    case $verb in
        show | apply)
            printf '%s: %s (profile %s)\n' "$subject" "$about" "$profile"
            values
            if [[ $verb == apply ]]; then keep_over_reboot; fi
            ;;
        undo) undo_all ;;
    esac
    ((failures == 0)) || exit 1
}

# --- Arguments ---

read_arguments() {
    local chosen=''
    while (($# > 0)); do
        case $1 in
            show | apply | undo)
                [[ -z $verb ]] || misused "'$verb' and '$1': expected one verb"
                verb=$1
                ;;
            --dry-run) dry_run=yes ;;
            --help | -h) usage; exit 0 ;;
            --profile | --interface | --cores | --backend-side | --port | --tunnels)
                (($# > 1)) || misused "$1 expects a value"
                read_option "$1" "$2"
                shift
                ;;
            *) misused "'$1' is neither a verb nor an option" ;;
        esac
        shift
    done
    [[ -n $verb ]] || misused 'expected show, apply or undo'
    profile=$chosen
    if [[ -n $cores_asked ]]; then
        mapfile -t cores < <(expand "$cores_asked")
    else
        mapfile -t cores < <(expand "$(cat "$root/sys/devices/system/cpu/online" 2>/dev/null || echo 0)")
    fi
    if ((${#interfaces[@]} == 0)); then find_interfaces; fi
}

read_option() {
    local list='^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$'
    case $1 in
        --profile)
            [[ " ${profiles[*]} " == *" $2 "* ]] || misused "--profile expects one of: ${profiles[*]}; found '$2'"
            chosen=$2
            ;;
        --interface)
            [[ $2 =~ ^[A-Za-z0-9_.@-]{1,15}$ && $2 != . && $2 != .. ]] || misused "'$2' is no name of an interface"
            interfaces+=("$2")
            ;;
        --cores)
            [[ $2 =~ $list ]] || misused "--cores expects a list such as 0-3,8; found '$2'"
            cores_asked=$2
            ;;
        --backend-side)
            [[ $2 =~ ^[0-9a-fA-F.:]+/[0-9]{1,3}$ ]] || misused "--backend-side expects a network such as 10.0.0.0/8; found '$2'"
            backend_sides+=("$2")
            ;;
        --port)
            if ! [[ $2 =~ ^[0-9]{1,5}$ ]] || ((10#$2 < 1 || 10#$2 > 65535)); then misused "--port expects 1 to 65535; found '$2'"; fi
            ports+=("$((10#$2))")
            ;;
        --tunnels)
            [[ $2 =~ ^[1-9][0-9]{0,7}$ ]] || misused "--tunnels expects 1 to 99999999; found '$2'"
            tunnels_many=$2 tunnels_few=$2
            ;;
    esac
}

usage() {
    cat <<END
tuning/$subject.sh: $about

    tuning/$subject.sh show  [options]     each value: now, wanted, why, who says so, what it moves
    tuning/$subject.sh apply [options]     writes what differs, and remembers what was there
    tuning/$subject.sh undo  [--dry-run]   puts back exactly what was there

    --dry-run            say what would be written, write nothing
    --profile NAME       many-idle (default), low-latency or throughput; later calls keep the one that is applied
    --interface IF       a network card (default: every one with hardware behind it); may be repeated
    --cores LIST         the cores of the workers, such as 0-3,8 (default: all)
    --backend-side CIDR  a network of backends; may be repeated
    --port N             a port that Ringway listens on; may be repeated
    --tunnels N          tunnels at once (default: 1000000 for many-idle, else 20000)

Exit code: 0 done, also where the host lacks something; 1 a write failed; 2 wrong usage.
END
}

misused() {
    printf "tuning/%s.sh: %s\nTry 'tuning/%s.sh --help'.\n" "$subject" "$1" "$subject" >&2
    exit 2
}

stop() {
    printf 'tuning/%s.sh: %s\n' "$subject" "$2" >&2
    exit "$1"
}

# --- The table ---

# Takes one value through the verb.
value() {
    local kind=$1 target=$2 reason='' source='' moves='' want='' word
    local -A wanted=()
    shift 2
    for word in "$@"; do
        case $word in
            many-idle=* | low-latency=* | throughput=*) wanted[${word%%=*}]=${word#*=} ;;
            all=*) for name in "${profiles[@]}"; do wanted[$name]=${word#*=}; done ;;
            reason=*) reason=${word#*=} ;;
            source=*) source=${word#*=} ;;
            moves=*) moves=${word#*=} ;;
            *) stop 3 "$target: the table has a word it should not have: $word" ;;
        esac
    done
    [[ -n $reason && -n $source && -n $moves ]] || stop 3 "$target: the table gives no reason, source or number"
    for name in "${profiles[@]}"; do
        [[ ${wanted[$name]:-} =~ ^(keep|exactly |at least |at most ) ]] || stop 3 "$target: the table wants nothing for $name"
    done
    want=${wanted[$profile]}
    "${verb}_value"
}

# Something that no write can do, for whoever reads.
advice() {
    if [[ $verb != undo ]]; then printf '  advice: %s\n' "$1"; fi
}

show_value() {
    local state now='' missing='' before='' goal
    if ! read_now "$kind" "$target"; then
        state='not here'
    elif [[ $want == keep ]]; then
        state='left alone'
    else
        goal_of "$want" "$now"
        if same "$kind" "$now" "$goal"; then state=ok; else state=differs; fi
    fi
    printf '\n  %s: %s\n' "$(name_of "$kind" "$target")" "$state"
    printf '      now     %s\n' "$(brief "${missing:-$now}")"
    if remembered; then printf '      before  %s\n' "$(brief "$before")"; fi
    printf '      wanted  many-idle: %s; low-latency: %s; throughput: %s\n' \
        "$(brief "${wanted[many-idle]}")" "$(brief "${wanted[low-latency]}")" "$(brief "${wanted[throughput]}")"
    # Said once for a row of queues or cores.
    if [[ $reason != "$shown_reason" ]]; then
        printf '      why     %s\n      source  %s\n      moves   %s\n' "$reason" "$source" "$moves"
    fi
    shown_reason=$reason
}

apply_value() {
    local now='' missing='' before='' goal base
    if [[ $want == keep ]]; then
        # Another profile may have changed it.
        if remembered; then give_back "$kind" "$target"; fi
        return 0
    fi
    if ! read_now "$kind" "$target"; then
        report "not here, skipped: $missing"
        return 0
    fi
    base=$now
    if remembered; then base=$before; fi
    goal_of "$want" "$base"
    if remembered && same "$kind" "$goal" "$before"; then
        # This profile is content with what was there first.
        give_back "$kind" "$target"
        return 0
    fi
    if same "$kind" "$now" "$goal"; then
        report "already $(brief "$now")"
    elif [[ -n $dry_run ]]; then
        report "would go from $(brief "$now") to $(brief "$goal")"
    else
        if ! remembered; then remember "$now"; fi
        if write_now "$goal"; then report "$(brief "$now") -> $(brief "$goal")"; fi
    fi
    if [[ $kind == sysctl ]] && { remembered || [[ -n $dry_run && $now != "$goal" ]]; }; then
        drop_in+=("# $reason" "$target = ${goal//$'\t'/ }")
    fi
}

# One document over reboots: only what was changed here.
keep_over_reboot() {
    local kind=document target=/etc/sysctl.d/60-ringway-$subject.conf want=keep reason=''
    if [[ -n $dry_run && ${#drop_in[@]} == 0 ]]; then return 0; fi
    if ((${#drop_in[@]} > 0)); then
        printf -v want '%s\n' "exactly # Written by tuning/$subject.sh apply --profile $profile; removed by its undo." "${drop_in[@]}"
    fi
    apply_value
}

undo_all() {
    local key kind target
    if ((${#before_order[@]} == 0)); then
        printf '%s: nothing to undo\n' "$subject"
        return 0
    fi
    printf '%s: back to what was there before\n' "$subject"
    # First written, first put back: queues come back before the settings of each queue.
    for key in "${before_order[@]}"; do
        kind=${key%% *} target=${key#* }
        give_back "$kind" "$target"
    done
}

give_back() {
    local kind=$1 target=$2 now='' missing='' before='' code=0
    remembered
    read_now "$kind" "$target" || code=$?
    if ((code == 2)); then
        complain "cannot be put back: $missing"
        return 0
    elif ((code == 1)); then
        report "gone since: $missing"
    elif same "$kind" "$now" "$before"; then
        report "still $(brief "$before")"
    elif [[ -n $dry_run ]]; then
        report "would go from $(brief "$now") back to $(brief "$before")"
    else
        write_now "$before" || return 0
        report "$(brief "$now") -> $(brief "$before")"
    fi
    if [[ -z $dry_run ]]; then forget; fi
}

write_now() {
    local complaint=''
    "write_$kind" "$target" "$1" && return 0
    complain "cannot be set to '$(brief "$1")': ${complaint:-no reason given}. $("remedy_$kind")"
    return 1
}

report() {
    printf '  %s: %s\n' "$(name_of "$kind" "$target")" "$1"
}

complain() {
    printf 'tuning/%s.sh: %s: %s\n' "$subject" "$(name_of "$kind" "$target")" "$1" >&2
    failures=$((failures + 1))
}

# A value as one short line: of a file what counts.
brief() {
    local text=${1//$'\t'/ }
    if [[ $text == *$'\n'* ]]; then
        text=$(sed -E 's/^(exactly )?#.*/\1/; s/^ +//' <<<"$text" | paste -sd' ' - | sed -E 's/ +/ /g; s/^ | $//g')
    fi
    if ((${#text} > 200)); then text="${text:0:200}..."; fi
    printf '%s' "${text:-nothing}"
}

# Sets `goal`: what is to be written, from what is wanted and what the host had.
goal_of() {
    local -a have need
    local place
    goal=${1#exactly }
    if [[ $1 == 'exactly '* ]]; then return; fi
    read -ra have <<<"$2"
    read -ra need <<<"${1#at * }"
    for place in "${!need[@]}"; do
        [[ ${have[place]:-} =~ ^[0-9]+$ ]] || continue
        # The kernel's largest numbers do not fit the shell's: by length first.
        if [[ $1 == 'at least '* ]] && less "${need[place]}" "${have[place]}"; then need[place]=${have[place]}; fi
        if [[ $1 == 'at most '* ]] && less "${have[place]}" "${need[place]}"; then need[place]=${have[place]}; fi
    done
    goal=${need[*]}
}

less() {
    ((${#1} < ${#2})) || { ((${#1} == ${#2})) && [[ $1 < $2 ]]; }
}

same() {
    [[ $2 == "$3" ]] || [[ $(plain "$1" "$2") == "$(plain "$1" "$3")" ]]
}

# What two spellings of one value have in common.
plain() {
    local text=$2 list='^[0-9]+([,-][0-9]+)+$'
    local -a words
    case $1 in
        document | notrack) printf '%s' "$text" ;;
        mask)
            text=${text//[,[:space:]]/}
            text=${text#"${text%%[!0]*}"}
            printf '%s' "${text,,}"
            ;;
        *)
            read -ra words <<<"$text"
            if [[ ${words[*]} =~ $list ]]; then
                expand "${words[*]}" | sort -nu
            else
                printf '%s' "${words[*]}"
            fi
            ;;
    esac
}

# --- What was there before ---

remembered() {
    [[ -v before_of["$kind $target"] ]] || return 1
    before=${before_of["$kind $target"]}
}

remember() {
    before_of["$kind $target"]=$1
    before_order+=("$kind $target")
    save
}

forget() {
    local key kept=()
    unset "before_of[$kind $target]"
    for key in "${before_order[@]}"; do
        if [[ -v before_of["$key"] ]]; then kept+=("$key"); fi
    done
    before_order=("${kept[@]}")
    save
}

# Whole or not at all: into a file beside it, to the disk, then in its place.
save() {
    local file=$state_folder/$subject
    if ((${#before_order[@]} == 0)); then
        rm -f "$file"
        return
    fi
    if ! { [[ -d $state_folder ]] || mkdir -p "$state_folder"; } || ! { memory >"$file.new" && sync "$file.new" && mv "$file.new" "$file"; }; then
        stop 1 "cannot write $file, without which there is no undo: nothing more was changed"
    fi
}

# One line for each value; a value of several lines is written as one.
memory() {
    local key text
    printf '# What was here before tuning/%s.sh changed it; its undo puts it back.\nprofile\t%s\n' "$subject" "$profile"
    for key in "${before_order[@]}"; do
        text=${before_of[$key]//\\/\\\\}
        text=${text//$'\n'/\\n}
        printf 'before\t%s\t%s\t%s\n' "${key%% *}" "${key#* }" "${text//$'\t'/\\t}"
    done
}

recall() {
    local word kind target text file=$state_folder/$subject applied=''
    if [[ -e $file ]]; then
        [[ -r $file ]] || stop 1 "cannot read $file: run this as root"
        while IFS=$'\t' read -r word kind target text || [[ -n $word ]]; do
            case $word in
                profile) applied=$kind ;;
                before)
                    printf -v text '%b' "$text"
                    before_of["$kind $target"]=$text
                    before_order+=("$kind $target")
                    ;;
            esac
        done <"$file"
    fi
    profile=${profile:-${applied:-many-idle}}
}
