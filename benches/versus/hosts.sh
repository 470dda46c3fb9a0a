#!/usr/bin/env bash
# Rehearses a comparison over three hosts on one: a network namespace for the generator, one for the proxies, one for
# the backends, joined by veth pairs. It makes the namespaces, measures, and removes them however it ends.
#
#   benches/versus/hosts.sh [arguments for cargo versus]        as root; default: --quick
#
# What it starts ends by itself after MINUTES_MAX, should this script be killed so hard that it cannot clean up.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly MINUTES_MAX=15
readonly GENERATOR=versus-generator PROXY=versus-proxy BACKENDS=versus-backends
readonly FRONT=10.77.1 BACK=10.77.2

if [ "$(id -u)" -ne 0 ]; then
    echo "hosts.sh: making network namespaces needs root" >&2
    exit 1
fi
for name in "$GENERATOR" "$PROXY" "$BACKENDS"; do
    if ip netns list | grep -q "^$name\b"; then
        echo "hosts.sh: the namespace $name is there already; is another rehearsal running? (ip netns del $name)" >&2
        exit 1
    fi
done

versus=$(cargo bench --bench versus --no-run 2>&1 | sed -n 's/.*(\(.*\/versus-[0-9a-f]*\))$/\1/p')
ringway=$(dirname "$(dirname "$versus")")/ringway
if [ ! -x "$versus" ] || [ ! -x "$ringway" ]; then
    echo "hosts.sh: cargo bench --bench versus --no-run failed; run it to see why" >&2
    exit 1
fi

started=()
clean_up() {
    # A proxy ends with its agent.
    for pid in "${started[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    for name in "$GENERATOR" "$PROXY" "$BACKENDS"; do
        ip netns del "$name" 2>/dev/null || true
    done
}
trap clean_up EXIT
trap 'exit 130' INT TERM

for name in "$GENERATOR" "$PROXY" "$BACKENDS"; do
    ip netns add "$name"
    ip -n "$name" link set lo up
done
ip -n "$PROXY" link add front type veth peer name front netns "$GENERATOR"
ip -n "$PROXY" link add back type veth peer name back netns "$BACKENDS"
ip -n "$PROXY" address add "$FRONT.1/24" dev front
ip -n "$GENERATOR" address add "$FRONT.2/24" dev front
ip -n "$PROXY" address add "$BACK.1/24" dev back
ip -n "$BACKENDS" address add "$BACK.2/24" dev back
for link in "$PROXY front" "$PROXY back" "$GENERATOR front" "$BACKENDS back"; do
    # shellcheck disable=SC2086 # Two words: a namespace and a link.
    set -- $link "$@"
    ip -n "$1" link set "$2" up
    shift 2
done

backends=()
bind=()
for port in 9001 9002 9003 9004; do
    backends+=("$BACK.2:$port")
    bind+=(--bind "$BACK.2:$port")
done
# `timeout` itself is what is started in the background, so that its pid is known and it passes TERM on.
within=(timeout --signal TERM "${MINUTES_MAX}m" ip netns exec)
# A pipe that this script holds open at both ends: input that never comes and never closes.
held=$(mktemp -u)
mkfifo "$held"
exec 9<>"$held"
rm "$held"
"${within[@]}" "$BACKENDS" "$ringway" echo "${bind[@]}" --core 1 <&9 >/dev/null &
started+=($!)
"${within[@]}" "$PROXY" "$versus" --bench --role proxy --agent "$FRONT.1:8100" --listen "$FRONT.1:8000" \
    --backends "$(IFS=,; echo "${backends[*]}")" --proxy-core 0 --minutes-max "$MINUTES_MAX" &
started+=($!)
# The agent is there when it takes a connection.
for _ in $(seq 100); do
    if ip netns exec "$GENERATOR" timeout 1 bash -c "printf 'who\n' >/dev/tcp/$FRONT.1/8100" 2>/dev/null; then
        break
    fi
    sleep 0.1
done

if [ "$#" -eq 0 ]; then
    set -- --quick
fi
"${within[@]}" "$GENERATOR" "$versus" --bench --agent "$FRONT.1:8100" --load-core 1 --minutes-max "$MINUTES_MAX" "$@"
