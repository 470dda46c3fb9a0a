# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # The caller's names: root, target, now, missing, complaint, interfaces.
#
# How each kind of value is read and written, and what subjects need to find out. Sourced by lib.sh.
#
# A kind has read_KIND TARGET, write_KIND TARGET VALUE and remedy_KIND. Reading sets `now`; or `missing`, and returns
# 1 (the host does not have it) or 2 (nobody here can ask). Writing sets `complaint` if it fails.

read_now() {
    now='' missing=''
    "read_$1" "$2"
}

name_of() {
    printf '%s' "$2"
}

# A file that takes one value. `tee` says why the kernel refused it.
put() {
    local writer=tee
    if [[ -n $root && -x $root/usr/bin/tee ]]; then writer=$root/usr/bin/tee; fi
    complaint=$(printf '%s\n' "$2" | "$writer" "$1" 2>&1 >/dev/null)
}

read_file() {
    if [[ ! -e $root$1 ]]; then
        missing="there is no $1"
        return 1
    fi
    # A knob may be there and have nothing to say, as the queues of a card with only one.
    { now=$(<"$root$1"); } 2>/dev/null || {
        missing="$1 cannot be read"
        return 1
    }
}

read_sysctl() { read_file "/proc/sys/${1//.//}"; }
write_sysctl() { put "$root/proc/sys/${1//.//}" "$2"; }
remedy_sysctl() { printf 'Run it as root, on the host itself: containers see /proc/sys read-only.'; }

read_sysfs() { read_file "$1"; }
write_sysfs() { put "$root$1" "$2"; }
remedy_sysfs() { printf 'Run it as root, on the host itself; if it is root already, the driver does not take this value.'; }

read_mask() { read_file "$1"; }
write_mask() { put "$root$1" "$2"; }
remedy_mask() { remedy_sysfs; }

# A file that shows all choices and puts the chosen one in brackets.
read_choice() {
    read_file "$1" || return
    if [[ $now =~ \[([^]]+)\] ]]; then now=${BASH_REMATCH[1]}; fi
}
write_choice() { put "$root$1" "$2"; }
remedy_choice() { remedy_sysfs; }

# A whole file of ours, or its absence. It is put where its folder is, never a folder for it, unless the folder is a
# service's own (.d), which goes again with the file.
read_document() {
    local folder=${1%/*}
    if [[ $folder == *.service.d ]]; then folder=${folder%/*}; fi
    if [[ ! -d $root$folder ]]; then
        missing="there is no $folder"
        return 1
    fi
    now=absent
    if [[ -e $root$1 ]]; then
        now=$(cat "$root$1" && printf .) || {
            missing="$1 cannot be read"
            return 2
        }
        now=${now%.}
    fi
}
write_document() {
    local file=$root$1 folder=$root${1%/*}
    if [[ $2 == absent ]]; then
        complaint=$(rm -f "$file" 2>&1) || return 1
        if [[ $folder == *.service.d ]]; then rmdir --ignore-fail-on-non-empty "$folder"; fi
        return 0
    fi
    complaint=$( { mkdir -p "$folder" && printf '%s' "$2" >"$file.new" && mv "$file.new" "$file"; } 2>&1)
}
remedy_document() { printf 'Run it as root, on a file system that can be written.'; }

# --- Helpers for subjects ---

# Finds a program of the host: sets `tool`. A forged tree has its own, so that no test touches the machine.
find_tool() {
    if [[ -n $root ]]; then
        tool=$root/usr/sbin/$1
        [[ -x $tool ]] && return 0
    else
        tool=$(command -v "$1") && return 0
    fi
    missing="$1 is not installed"
    return 1
}

# 0-2,8 as one number a line.
expand() {
    local part
    for part in ${1//,/ }; do
        seq "${part%-*}" "${part#*-}"
    done
}

# The mask of some cores, in groups of 32 bits as the kernel takes it.
mask_of() {
    local core group text=''
    local -a groups=(0)
    for core in "$@"; do
        for ((group = ${#groups[@]}; group <= core / 32; group++)); do groups+=(0); done
        ((groups[core / 32] |= 1 << (core % 32)))
    done
    for group in "${groups[@]}"; do
        printf -v group '%08x' "$group"
        text=$group${text:+,}$text
    done
    printf '%s' "$text"
}

find_interfaces() {
    local folder
    for folder in "$root"/sys/class/net/*; do
        if [[ -e $folder/device ]]; then interfaces+=("${folder##*/}"); fi
    done
}

# The host's memory in pages.
memory_pages() {
    local kib
    kib=$(awk '$1 == "MemTotal:" { print $2 }' "$root/proc/meminfo" 2>/dev/null) || true
    printf '%d' $((${kib:-0} * 1024 / $(getconf PAGESIZE)))
}
