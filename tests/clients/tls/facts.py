"""What the clients of this folder share: where everybody listens, what the metrics say, and how facts are told."""

import json
import os
import re
import struct
import sys
import time
import urllib.request

PATIENCE = 20
# The key is the example of RFC 6455 section 1.3.
HEAD = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


class Hall:
    """The folder of one run, and the ports that stand in its hall.json."""

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "hall.json")) as file:
            self.ports = json.load(file)

    def file(self, name):
        return os.path.join(self.folder, name)

    def port(self, listener="tls"):
        return self.ports[listener]

    def metrics(self):
        address = f"http://127.0.0.1:{self.ports['control']}/metrics"
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def count(self, metric, reason=None):
        """A metric over all workers, or its rows of one reason."""
        total = 0.0
        for line in self.metrics().splitlines():
            row = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if row and row[1] == metric and (reason is None or f'reason="{reason}"' in (row[2] or "")):
                total += float(row[3])
        return total

    def counts(self, metric, reason=None, by=1, at_least=False):
        """For `with`: what is done inside is counted, soon, and nothing else."""
        return Counted(self, metric, reason, by, at_least)

    def refuses(self, reason):
        return self.counts("ringway_refusals_total", reason)

    def ends(self, reason):
        return self.counts("ringway_tunnels_ended_total", reason)


class Counted:
    def __init__(self, hall, metric, reason, by, at_least):
        self.hall, self.metric, self.reason, self.by, self.at_least = hall, metric, reason, by, at_least

    def __enter__(self):
        self.before = self.hall.count(self.metric, self.reason)

    def __exit__(self, kind, error, trace):
        if kind is not None:
            return
        expected = self.before + self.by
        found = until(lambda: self.hall.count(self.metric, self.reason), lambda count: count >= expected)
        is_right = found >= expected if self.at_least else found == expected
        holds(is_right, f"{self.metric} of {self.reason} is {found}, expected {expected}")


def until(read, is_right, patience=PATIENCE):
    """Reads until it is right or patience is over, and gives what was read last."""
    end = time.monotonic() + patience
    while True:
        found = read()
        if is_right(found) or time.monotonic() > end:
            return found
        time.sleep(0.05)


def same(found, expected):
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


def holds(is_so, found):
    if not is_so:
        raise AssertionError(f"found {found!r}")


def tell(name, checks):
    """Runs each check with the hall of the first argument; a line for each."""
    hall = Hall(sys.argv[1])
    only = sys.argv[2:]
    failed = 0
    for check in checks:
        fact = check.__name__.replace("_", " ")
        if only and not any(word in check.__name__ for word in only):
            continue
        try:
            check(hall)
            print(f"ok      {name}: {fact}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAILED  {name}: {fact}: {error!r}", flush=True)
    return 1 if failed else 0


# --- WebSocket by hand ---


def head(path="/ws"):
    return HEAD.format(path=path).encode()


def frame(opcode, payload, key=b"\0\0\0\0"):
    """A client's frame. With the key of zeros the payload travels as it is."""
    length = len(payload)
    if length < 126:
        start = bytes([0x80 | opcode, 0x80 | length])
    elif length < 1 << 16:
        start = bytes([0x80 | opcode, 0x80 | 126]) + struct.pack("!H", length)
    else:
        start = bytes([0x80 | opcode, 0x80 | 127]) + struct.pack("!Q", length)
    mask = (key * (length // 4 + 1))[:length]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")
    return start + key + body


def echoed(opcode, payload):
    """What comes back for it."""
    sent = frame(opcode, payload)
    at = len(sent) - len(payload)
    return bytes([sent[0], sent[1] & 0x7F]) + sent[2 : at - 4] + payload
