# shellcheck shell=bash
# What both scripts in the test machine share: facts, and a WebSocket client of a few lines. Sourced, not run.

# shellcheck disable=SC2034  # It is theirs.
source=/root/source
facts=/root/facts
said=/root/said
: >"$facts"
: >"$said"

# One fact. What the command says is kept for whoever has to look.
holds() {
    local fact=$1
    shift
    if "$@" >>"$said" 2>&1; then
        printf 'ok      %s\n' "$fact" >>"$facts"
    else
        printf 'FAILED  %s\n' "$fact" >>"$facts"
        printf -- '--- %s\n' "$fact" >>"$said"
        more_to_say >>"$said" 2>&1
        exit 1
    fi
}

# Replaced by whoever has more.
more_to_say() { :; }

not() { ! "$@"; }

# Opens a tunnel to the port, sends "hi" and wants it back. The mask is zero, so that the shell need not compute one.
speaks() {
    local port=$1 line
    exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
    printf 'GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n' >&3
    IFS= read -r -t 10 line <&3
    [[ $line = *' 101 '* ]] || {
        printf 'answered: %s\n' "$line"
        return 1
    }
    while IFS= read -r -t 10 line <&3 && [[ $line != $'\r' ]]; do :; done
    printf '\x81\x82\0\0\0\0hi' >&3
    [[ $(timeout 10 head -c 4 <&3 | od -An -tx1 | tr -d ' \n') = 81026869 ]]
}

# Waits up to 20 s until a command succeeds.
soon() {
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    "$@"
}

# Every file there is, but for what the machine writes by itself.
list_files() {
    find / -xdev \( -path /root -o -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp \
        -o -path /var/log/journal -o -path /var/lib/systemd -o -path /var/lib/dpkg -o -path /var/lib/rpm -o -path /var/cache \) -prune \
        -o -print | grep -Ev '^/etc/(passwd|group|shadow|gshadow)-$|^/etc/\.(pwd\.lock|updated)$|^/var/(\.updated|log/(wtmp|btmp|lastlog))$' | sort
}

# The backend that the configuration of the packages expects. A pipe that nobody writes to keeps it alive.
start_backend() {
    mkfifo /root/hold
    /root/client echo --bind 127.0.0.1:9000 </root/hold >/dev/null 2>&1 &
    exec 4>/root/hold
}
