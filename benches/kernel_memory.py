#!/usr/bin/env python3
"""What an idle tunnel costs the kernel: growth of its slabs while tunnels stand open through a Ringway of its own.

    sudo benches/kernel_memory.py target/release/ringway [TUNNELS]

First as many bare pairs of loopback sockets are opened, so that what clients and backends cost can be taken off.
Each tunnel carries a message before it is left alone. It needs root (for /proc/slabinfo), Python 3.8, two descriptors a tunnel
in each process, and a quiet machine: a slab counts if it grew by at least one object for every four tunnels.
Files that others open show as more than one dentry a socket.
"""

import os
import resource
import socket
import subprocess
import sys
import tempfile

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CONFIG = """
[workers]
cores = {workers}
[control]
bind = "127.0.0.1:0"
access_log = "off"
[listeners.a]
bind = ["127.0.0.1:0"]
[pools.a]
backends = ["{backend}"]
[[routes]]
pool = "a"
"""
MESSAGE = b"\x82\xc0" + bytes(4) + bytes(64)
# Peers wait with epoll, which Ringway does not, and whatever else runs has files and memory of its own.
OF_OTHERS = ("eventpoll", "ep_head", "proc_inode", "anon_vma", "vm_area", "vma", "maple", "ext4", "buffer_head", "radix")


def slabs():
    """Each slab: how many objects are in use, and how many bytes of pages one takes."""
    found = {}
    with open("/proc/slabinfo", encoding="ascii") as lines:
        for line in list(lines)[2:]:
            name, active, _, _, per_slab, pages = line.split()[:6]
            each = int(pages) * os.sysconf("SC_PAGESIZE") / int(per_slab)
            found[name] = (int(active), each)
    return found


def socket_pages():
    with open("/proc/net/sockstat", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("TCP:"):
                return int(line.split()[-1])
    return 0


def settle():
    """Caches of the kernel that others fill are emptied, so that they do not grow or shrink in between."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("2")


def growth(before, after, tunnels):
    """Objects and bytes a tunnel, by slab."""
    rows = {}
    for name, (active, each) in after.items():
        grown = (active - before.get(name, (0, 0))[0]) / tunnels
        if grown >= 0.25 and not name.startswith(OF_OTHERS):
            rows[name] = (grown, grown * each)
    return rows


def show(title, rows):
    print(f"\n{title}")
    for name, (objects, bytes_) in sorted(rows.items(), key=lambda row: -row[1][1]):
        print(f"  {name:<24} {objects:7.2f} objects {bytes_:8.0f} B")
    total = sum(bytes_ for _, bytes_ in rows.values())
    print(f"  {'all':<24} {'':15} {total:8.0f} B")
    return total


def bare(tunnels):
    """Pairs of loopback sockets that nobody proxies."""
    door = socket.create_server(("127.0.0.1", 0), backlog=128)
    held = []
    for _ in range(tunnels):
        client = socket.create_connection(door.getsockname())
        server, _ = door.accept()
        client.sendall(MESSAGE)
        server.recv(256)
        server.sendall(MESSAGE)
        client.recv(256)
        held += [client, server]
    return held


def started(command, until):
    """A process, and what it wrote behind the word that we wait for."""
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for line in child.stdout:
        if until in line:
            return child, line.split(until)[1].strip()
    sys.exit(f"{command[0]} ended before it said {until!r}")


def tunnel(address):
    client = socket.create_connection(address)
    client.sendall(UPGRADE)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(4096)
    assert b" 101 " in answer, answer
    client.sendall(MESSAGE)
    echoed = answer.split(b"\r\n\r\n", 1)[1]
    while len(echoed) < 66:
        echoed += client.recv(4096)
    return client


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def at_rest(ringway, config, workers):
    """Descriptors and resident memory of a Ringway that nobody talks to."""
    with open(config, "w", encoding="ascii") as file:
        file.write(CONFIG.format(workers=workers, backend="127.0.0.1:9"))
    proxy, _ = started([ringway, "run", "-c", config], "metrics on ")
    files = len(os.listdir(f"/proc/{proxy.pid}/fd"))
    print(f"at rest with {workers} workers: {files} descriptors, {resident(proxy.pid) // 1024} KiB resident")
    proxy.kill()
    proxy.wait()


def main():
    ringway = sys.argv[1]
    tunnels = int(sys.argv[2]) if len(sys.argv) > 2 else 9000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(os.uname().release, subprocess.getoutput(f"{ringway} --version"), f"{tunnels} tunnels")

    settle()
    before, pages = slabs(), socket_pages()
    held = bare(tunnels)
    rows = growth(before, slabs(), tunnels)
    two = show("two bare sockets, after a message each way", rows)
    print(f"  buffers (sockstat mem)   {(socket_pages() - pages) / tunnels / 2:7.2f} pages a socket")
    for one in held:
        one.close()

    echo, backend = started([ringway, "echo", "--bind", "127.0.0.1:0"], "echo-1 ")
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "ringway.toml")
        at_rest(ringway, config, 1)
        at_rest(ringway, config, 2)
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(workers=1, backend=backend))
        proxy, address = started([ringway, "run", "-c", config], "listening on ")
    host, port = address.split(" ")[0].rsplit(":", 1)
    held = [tunnel((host, int(port)))]
    settle()
    before, pages, user = slabs(), socket_pages(), resident(proxy.pid)
    files = len(os.listdir(f"/proc/{proxy.pid}/fd"))
    print(f"\nRingway with one worker and one tunnel: {files} descriptors, {user / 2**20:.1f} MiB resident")
    held += [tunnel((host, int(port))) for _ in range(tunnels)]
    rows = growth(before, slabs(), tunnels)
    four = show("a tunnel with its client and its backend, idle", rows)
    print(f"  buffers (sockstat mem)   {(socket_pages() - pages) / tunnels / 4:7.2f} pages a socket")
    opened = len(os.listdir(f"/proc/{proxy.pid}/fd")) - files
    print(f"  descriptors of Ringway   {opened / tunnels:7.2f} a tunnel")
    print(f"  resident in Ringway      {(resident(proxy.pid) - user) / tunnels:7.0f} B a tunnel")
    print(f"\na socket of Ringway: ({four:.0f} - {two:.0f}) / 2 = {(four - two) / 2:.0f} B of the kernel")
    for child in (proxy, echo):
        child.kill()
        child.wait()


if __name__ == "__main__":
    main()
