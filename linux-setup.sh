#!/usr/bin/env bash
# From a bare Debian, Ubuntu, Fedora or RHEL to a running Ringway, and back. `--help` says how.
#
# Each step says what it did: `done`, `already` (it was so before), `would` (with --dry-run), `kept`, `note`. What it made
# stands in a manifest, and --uninstall takes away just that.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly lowest_kernel=6.1
readonly configuration=/etc/ringway/ringway.toml
readonly state=/var/lib/ringway
readonly manifest=$state/setup.manifest
readonly units=/etc/systemd/system
readonly sysctl_file=/etc/sysctl.d/60-ringway-io-uring.conf
# Only the tests name another folder: one in which a kernel is too old, or forbids io_uring.
readonly settings=${RINGWAY_SETUP_SETTINGS:-/proc/sys}

mode=install
prefix=/usr/local
binary=''
own_configuration=''
profile=''
starts=true
is_dry=false
purges=false
allows_io_uring=false
changed_units=false
changed_program=false
was_active=false

usage() {
    cat <<'END'
From a bare Debian, Ubuntu, Fedora or RHEL to a running Ringway, and back.

    sudo ./linux-setup.sh [OPTIONS]

  --from-source       Build the tree this script stands in, as the user who called sudo. The default.
  --binary FILE       Install this binary instead; nothing is built.
  --config FILE       Install this configuration, if there is none yet. An existing one is never touched.
  --tuning PROFILE    Set the host up too, now and at each boot: many-idle, low-latency or throughput.
  --allow-io-uring    Where the kernel forbids io_uring, allow it to the group ringway (a file in /etc/sysctl.d).
  --no-start          Install and enable the service, but leave it stopped.
  --prefix DIR        Where bin/ringway and share/ringway/ go [default: /usr/local]
  --dry-run           Say what would be done, and change nothing.
  --uninstall         Take away what this script has installed, all but configuration, logs and user.
  --purge             With --uninstall: those too.
  --help              This.

A second run changes nothing. Afterwards: systemctl status ringway, and `ringway doctor` looks at the machine.
END
}

main() {
    read_arguments "$@"
    [[ $is_dry = true || $EUID = 0 ]] || fail 'it needs root: sudo ./linux-setup.sh (or --dry-run to see what it would do)'
    if [[ $mode = uninstall ]]; then
        uninstall
        return
    fi
    check_system
    check_kernel
    check_packages
    obtain_binary
    install_account
    allow_io_uring
    install_files
    install_configuration
    enable_service
    enable_tuning
    start_service
}

read_arguments() {
    while (($# > 0)); do
        case $1 in
            --from-source) binary='' ;;
            --binary) binary=$(absolute "${2:?--binary takes a file}") && shift ;;
            --config) own_configuration=$(absolute "${2:?--config takes a file}") && shift ;;
            --tuning) profile=${2:?--tuning takes a profile} && shift ;;
            --prefix) prefix=$(absolute "${2:?--prefix takes a folder}") && shift ;;
            --allow-io-uring) allows_io_uring=true ;;
            --no-start) starts=false ;;
            --dry-run) is_dry=true ;;
            --uninstall) mode=uninstall ;;
            --purge) purges=true ;;
            --help | -h) usage && exit 0 ;;
            *) fail "$1 is no option; --help lists them" ;;
        esac
        shift
    done
    case $profile in
        '' | many-idle | low-latency | throughput) ;;
        *) fail "--tuning: $profile is none of many-idle, low-latency, throughput" ;;
    esac
    [[ $purges = false || $mode = uninstall ]] || fail '--purge goes with --uninstall'
    # It stands in units, where these would mean something else.
    [[ $prefix =~ ^/[A-Za-z0-9._/-]*$ ]] || fail "--prefix: $prefix has characters that no unit file should have"
    [[ -z $binary || -f $binary ]] || fail "--binary: $binary is no file"
    [[ -z $own_configuration || -f $own_configuration ]] || fail "--config: $own_configuration is no file"
    program=$prefix/bin/ringway
    share=$prefix/share/ringway
}

# --- Whether this host will do ---

check_system() {
    local name='this system' like=''
    if [[ -r /etc/os-release ]]; then
        # shellcheck source=/dev/null
        name=$(. /etc/os-release && printf '%s' "${PRETTY_NAME:-$ID}")
        # shellcheck source=/dev/null
        like=$(. /etc/os-release && printf ' %s %s ' "${ID:-}" "${ID_LIKE:-}")
    fi
    case $like in
        *' debian '* | *' ubuntu '*) manager=apt-get ;;
        *' fedora '* | *' rhel '* | *' centos '*) manager=dnf ;;
        *) manager='' ;;
    esac
    case $(uname -m) in
        x86_64 | aarch64) already "$name on $(uname -m)" ;;
        *) fail "$(uname -m) is not supported: x86_64 or aarch64" ;;
    esac
    local owner=''
    if command -v dpkg-query >/dev/null && dpkg-query -W -f '${db:Status-Abbrev}' ringway 2>/dev/null | grep -q '^i'; then
        owner='apt-get remove ringway'
    elif command -v rpm >/dev/null && rpm -q ringway >/dev/null 2>&1; then
        owner='dnf remove ringway'
    fi
    [[ -z $owner ]] || fail "the package ringway is installed, and two would fight over the service; first: $owner"
}

check_kernel() {
    local release
    release=$(<"$settings/kernel/osrelease")
    at_least "${release%%-*}" $lowest_kernel ||
        fail "Linux $release is too old: Ringway needs $lowest_kernel or newer. Boot a newer kernel; on Debian: apt-get install -t $(codename)-backports linux-image-$(dpkg --print-architecture 2>/dev/null || uname -m)"
    already "Linux $release ($lowest_kernel or newer is needed)"
}

codename() {
    # shellcheck source=/dev/null
    (. /etc/os-release 2>/dev/null && printf '%s' "${VERSION_CODENAME:-stable}")
}

# What a build needs; a binary needs nothing that a system has not got.
check_packages() {
    [[ -z $binary ]] || return 0
    local missing=()
    command -v cc >/dev/null || case $manager in
        apt-get) missing+=(gcc libc6-dev) ;;
        *) missing+=(gcc glibc-devel) ;;
    esac
    command -v git >/dev/null || missing+=(git)
    if ! rust_will_do; then
        local offered
        offered=$(offered_rust)
        at_least "${offered:-0}" "$(needed_rust)" ||
            fail "Rust $(needed_rust) or newer is needed to build; $(builder) has ${found_rust:-none}, and this system offers ${offered:-none}. Install it with rustup as $(builder), or give --binary FILE"
        case $manager in
            apt-get) missing+=(rustc cargo) ;;
            *) missing+=(rust cargo) ;;
        esac
    fi
    if ((${#missing[@]} == 0)); then
        already 'what a build needs: a C compiler, git, Rust'
        return
    fi
    case $manager in
        apt-get)
            change 'the list of packages' apt-get update -qq
            change "packages ${missing[*]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
            ;;
        dnf) change "packages ${missing[*]}" dnf install -y -q "${missing[@]}" ;;
        *) fail "install ${missing[*]} first: this system has neither apt-get nor dnf that this script knows" ;;
    esac
}

needed_rust() {
    sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/Cargo.toml"
}

rust_will_do() {
    [[ -f $here/Cargo.toml ]] || fail "$here holds no source: give --binary FILE"
    found_rust=$(as_builder rustc --version 2>/dev/null | cut -d ' ' -f 2) || found_rust=''
    as_builder cargo --version >/dev/null 2>&1 && [[ -n $found_rust ]] && at_least "$found_rust" "$(needed_rust)"
}

# The version of Rust that the distribution has.
offered_rust() {
    case $manager in
        apt-get) apt-cache show --no-all-versions rustc 2>/dev/null | sed -n 's/^Version: \([0-9.]*\).*/\1/p' ;;
        dnf) dnf -q repoquery --latest-limit 1 --qf '%{version}\n' rust 2>/dev/null | head -n 1 ;;
    esac
}

# --- The program ---

# Nothing is built as root that somebody else asked for: build scripts are other people's code.
builder() {
    printf '%s' "${SUDO_USER:-$(id -un)}"
}

as_builder() {
    if [[ $EUID = 0 && -n ${SUDO_USER:-} && $SUDO_USER != root ]]; then
        local home
        home=$(getent passwd "$SUDO_USER" | cut -d : -f 6)
        (cd "$here" && runuser -u "$SUDO_USER" -- env "HOME=$home" "PATH=$home/.cargo/bin:$PATH" "$@")
    else
        (cd "$here" && PATH="${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH" "$@")
    fi
}

obtain_binary() {
    if [[ -z $binary ]]; then
        change "built by $(builder): cargo build --release --locked" \
            as_builder cargo build --release --locked --bin ringway --target-dir "$here/target"
        binary=$here/target/release/ringway
        [[ $is_dry = true && ! -x $binary ]] || "$binary" --version >/dev/null || fail "$binary does not run here"
    else
        "$binary" --version >/dev/null 2>&1 || fail "--binary: $binary does not run here"
    fi
}

# --- User, folders, files ---

install_account() {
    if getent group ringway >/dev/null; then
        already 'group ringway'
    else
        change 'group ringway' groupadd --system ringway
        record group ringway
    fi
    if getent passwd ringway >/dev/null; then
        already 'user ringway'
    else
        change 'user ringway' useradd --system --gid ringway --home-dir / --no-create-home \
            --shell "$(command -v nologin || printf /usr/sbin/nologin)" --comment 'Ringway load balancer' ringway
        record user ringway
    fi
}

# Forbidden (2) or for one group only (1) on some systems. A ring is a large piece of kernel to open up, so only the group
# ringway gets it, and only if whoever runs this says so.
allow_io_uring() {
    local level=0 group=-1 ours=unknown
    if [[ -r $settings/kernel/io_uring_disabled ]]; then level=$(<"$settings/kernel/io_uring_disabled"); fi
    if [[ -r $settings/kernel/io_uring_group ]]; then group=$(<"$settings/kernel/io_uring_group"); fi
    ours=$(getent group ringway | cut -d : -f 3) || ours=unknown
    if [[ $level = 0 ]]; then
        already 'io_uring is allowed'
    elif [[ $level = 1 && $group = "$ours" ]]; then
        already 'io_uring is allowed to the group ringway'
    elif [[ $allows_io_uring = true ]]; then
        local lines
        lines=$(printf '# Rings for Ringway alone.\nkernel.io_uring_disabled = 1\nkernel.io_uring_group = %s' "$ours")
        put_text "$lines" "$sysctl_file" 0644 root:root
        change 'io_uring is allowed to the group ringway' sysctl -q -p "$sysctl_file"
    else
        fail "kernel.io_uring_disabled is $level: Ringway may not use io_uring. --allow-io-uring allows it to the group ringway alone, or: sysctl -w kernel.io_uring_disabled=0"
    fi
}

install_files() {
    local unit file
    put "$binary" "$program" 0755 root:root changed_program
    for unit in ringway.service ringway-tuning@.service; do
        # The packages' paths are below /usr.
        put_text "$(sed "s#/usr/\(bin/ringway\|share/ringway\)#$prefix/\1#g" "$here/packaging/$unit")" \
            "$units/$unit" 0644 root:root changed_units
    done
    folder "$state" 0755 root:root
    folder /var/log/ringway 0750 ringway:ringway purged
    folder /etc/ringway 0750 root:ringway
    if [[ -f $here/tuning/all.sh ]]; then
        for file in "$here"/tuning/*.sh "$here"/tuning/README.md; do
            [[ ! -f $file ]] || put "$file" "$share/tuning/${file##*/}" "$(mode_of "$file")" root:root
        done
    else
        note 'there are no tuning scripts beside this one, so none are installed'
        [[ -z $profile ]] || fail "--tuning $profile needs them"
    fi
}

mode_of() {
    if [[ $1 = *.sh ]]; then printf 0755; else printf 0644; fi
}

install_configuration() {
    if [[ -e $configuration ]]; then
        if [[ -n $own_configuration ]] && ! cmp -s "$own_configuration" "$configuration"; then
            kept "$configuration: it was there, so $own_configuration was not installed"
        else
            already "$configuration"
        fi
    else
        put "${own_configuration:-$here/packaging/ringway.toml}" "$configuration" 0640 root:ringway '' config
    fi
    [[ $is_dry = true ]] || check_configuration
}

# As the user it will run as, who must be able to read it and what it names.
check_configuration() {
    local words
    words=$(as_ringway "$program" check -c "$configuration" 2>&1) || fail "$configuration has mistakes:"$'\n'"$words"
    already "$configuration is right"
}

as_ringway() {
    runuser -u ringway -- "$@"
}

# --- The service ---

has_systemd() {
    [[ -d /run/systemd/system ]]
}

enable_service() {
    if [[ $changed_units = true ]] && has_systemd; then change 'units are read' systemctl daemon-reload; fi
    enable_unit ringway.service
}

# A link is all that it takes, so it can be made where systemd does not run.
enable_unit() {
    local link=$units/multi-user.target.wants/$1
    if [[ -L $link ]]; then
        already "$1 is enabled"
    else
        new_folders "$units/multi-user.target.wants"
        change "$1 is enabled" ln -s "$units/${2:-$1}" "$link"
        record file "$link"
    fi
}

enable_tuning() {
    local link one
    [[ -n $profile ]] || return 0
    for link in "$units"/multi-user.target.wants/ringway-tuning@*.service; do
        one=${link##*/}
        if [[ -L $link && $one != "ringway-tuning@$profile.service" ]]; then
            if has_systemd; then change "$one is stopped, and its changes undone" systemctl stop "$one"; fi
            change "$one is disabled" rm "$link"
            forget file "$link"
        fi
    done
    enable_unit "ringway-tuning@$profile.service" ringway-tuning@.service
    start_unit "ringway-tuning@$profile.service" || note "no systemd runs here; the host is tuned by: $share/tuning/all.sh apply --profile $profile"
}

start_service() {
    if [[ $starts = false ]]; then
        note 'not started (--no-start); start it with: systemctl start ringway'
        return
    fi
    start_unit ringway.service || {
        note "no systemd runs here; as root, this starts it:"
        note "  setpriv --reuid=ringway --regid=ringway --init-groups $program run -c $configuration"
        return
    }
    [[ $changed_program = false || $is_dry = true || $was_active = false ]] ||
        note 'the Ringway that runs is the one of before; a restart ends its tunnels, politely: systemctl restart ringway'
}

start_unit() {
    has_systemd || return 1
    was_active=false
    if systemctl is-active --quiet "$1"; then
        was_active=true
        already "$1 runs"
    else
        change "$1 runs" systemctl start "$1" || fail "$1 does not start: journalctl -u $1"
    fi
}

# --- Back ---

uninstall() {
    if [[ ! -f $manifest ]]; then
        already 'nothing is installed by this script'
        return
    fi
    stop_units
    local lines line
    # All of it at once: it shrinks with every line that is done.
    mapfile -t lines < <(tac "$manifest")
    for line in "${lines[@]}"; do
        remove "${line%% *}" "${line#* }"
    done
    if has_systemd; then change 'units are read' systemctl daemon-reload; fi
    if [[ $purges = true ]]; then
        change "$state is gone" rm -rf "$state"
    elif [[ $is_dry = false && ! -s $manifest ]]; then
        rm -f "$manifest"
        rmdir --ignore-fail-on-non-empty "$state"
    fi
    note 'packages that a build needed stay; they may be needed by others'
}

stop_units() {
    local unit
    while read -r unit; do
        if has_systemd && systemctl is-active --quiet "$unit"; then change "$unit is stopped" systemctl stop "$unit"; fi
    done < <(sed -n "s|^file $units/multi-user.target.wants/||p" "$manifest" | tac)
    # Where no systemd runs, the host was tuned by hand.
    local script
    script=$(sed -n 's|^file \(.*/share/ringway/tuning/all\.sh\)$|\1|p' "$manifest" | head -n 1)
    if [[ -x $script && -n $(ls -A "$state/tuning" 2>/dev/null) ]]; then
        change 'the tuning of the host is undone' "$script" undo
    fi
}

remove() {
    local kind=$1 thing=$2
    case $kind in
        file) gone "$thing" rm -f "$thing" ;;
        config | purged | user | group)
            if [[ $purges = false ]]; then
                kept "$kind $thing"
                return
            fi
            case $kind in
                config) gone "$thing" rm -f "$thing" ;;
                purged) gone "$thing" rm -rf "$thing" ;;
                # Some versions of userdel take the group along.
                user) change "user $thing is gone" userdel "$thing" ;;
                group) ! getent group "$thing" >/dev/null || change "group $thing is gone" groupdel "$thing" ;;
            esac
            ;;
        # One that others use too, or that holds what is kept, stays.
        folder)
            if [[ $thing = "$state" ]]; then return; fi
            if [[ $is_dry = false && -d $thing ]] && ! rmdir "$thing" 2>/dev/null; then
                kept "$thing, which is not empty"
                return
            fi
            [[ $is_dry = false ]] || say would "$thing is gone, if it is empty"
            ;;
    esac
    [[ $is_dry = true ]] || forget "$kind" "$thing"
}

gone() {
    local thing=$1
    shift
    if [[ -e $thing || -L $thing ]]; then change "$thing is gone" "$@"; else already "$thing is gone"; fi
}

# --- Versions, paths ---

# Whether version $1 is $2 or newer.
at_least() {
    [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) = "$2" ]]
}

absolute() {
    realpath -m -- "$1"
}

# shellcheck source=packaging/steps.sh
. "$here/packaging/steps.sh"
main "$@"
