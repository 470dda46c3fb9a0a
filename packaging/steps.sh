# shellcheck shell=bash
# The steps of linux-setup.sh: each says what it did, and what it made goes to the manifest. Sourced, not run.
# shellcheck disable=SC2154  # is_dry, state and manifest are the script's.

# put SOURCE TARGET MODE OWNER [FLAG] [KIND]: the flag, a variable, becomes true if the file changes.
put() {
    local source=$1 target=$2 bits=$3 owner=$4 flag=${5:-} kind=${6:-file}
    if [[ -f $target ]] && cmp -s "$source" "$target" && [[ $(stat -c '%a %U:%G' "$target") = "${bits#0} $owner" ]]; then
        already "$target"
        return
    fi
    new_folders "${target%/*}"
    # Beside it and then over it: a program that runs is not written to.
    change "$target" replace "$source" "$target" "$bits" "$owner"
    record "$kind" "$target"
    [[ -z $flag ]] || printf -v "$flag" true
}

put_text() {
    local text=$1 file
    shift
    file=$(mktemp)
    printf '%s\n' "$text" >"$file"
    put "$file" "$@"
    rm -f "$file"
}

replace() {
    install -m "$3" -o "${4%:*}" -g "${4#*:}" "$1" "$2.new"
    mv -f "$2.new" "$2"
    # Where SELinux decides, a file must be labelled for its place.
    if command -v restorecon >/dev/null; then restorecon "$2" 2>/dev/null || true; fi
}

# folder PATH MODE OWNER [KIND]
folder() {
    if [[ -d $1 && $(stat -c '%a %U:%G' "$1") = "${2#0} $3" ]]; then
        already "$1"
        return
    fi
    local is_new=true
    [[ ! -d $1 ]] || is_new=false
    new_folders "${1%/*}"
    change "$1" install -d -m "$2" -o "${3%:*}" -g "${3#*:}" "$1"
    [[ $is_new = false ]] || record "${4:-folder}" "$1"
}

# The folders above a file, each in the manifest that was not there.
new_folders() {
    local path=$1
    [[ ! -d $path && $is_dry = false ]] || return 0
    new_folders "${path%/*}"
    mkdir -m 0755 "$path"
    record folder "$path"
}

# change WORDS COMMAND...: does it and says so, or says that it would.
change() {
    local words=$1
    shift
    if [[ $is_dry = true ]]; then
        say would "$words"
        return
    fi
    "$@" || return
    say 'done' "$words"
}

# In order, each once. The state folder is made first: the manifest stands in it.
record() {
    [[ $is_dry = false ]] || return 0
    mkdir -p "$state"
    grep -qxF "$1 $2" "$manifest" 2>/dev/null || printf '%s %s\n' "$1" "$2" >>"$manifest"
}

forget() {
    [[ $is_dry = false && -f $manifest ]] || return 0
    local rest
    rest=$(grep -vxF "$1 $2" "$manifest") || true
    printf '%s' "${rest:+$rest$'\n'}" >"$manifest"
}

already() { say already "$*"; }
kept() { say kept "$*"; }
note() { say note "$*"; }

say() {
    printf '%-8s %s\n' "$1" "$2"
}

fail() {
    printf 'stopped  %s\n' "$*" >&2
    exit 1
}
