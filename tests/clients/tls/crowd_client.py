"""Drives Ringway by many clients at once that begin a handshake and stop: a tunnel beside them must not notice.

    python3 tests/clients/tls/crowd_client.py FOLDER
"""

import sys
import time

from facts import TEXT, holds, same, tell, until
from hostile_client import client_hello
from records import Client, connect

HALF = 600


def a_tunnel_does_not_notice_six_hundred_half_handshakes(hall):
    whole = client_hello()
    before = hall.count("ringway_refusals_total", "tls_timeout")
    crowd = []
    with Client(hall) as client:
        alone = slowest(client, 0.5)
        for number in range(HALF):
            stream = connect(hall, "strict")
            # Half of them have cost a key exchange and a signature, half of them nothing.
            stream.sendall(whole if number % 2 else whole[: number % len(whole)])
            crowd.append(stream)
            if number % 50 == 0:
                client.echoes(TEXT, b"while they come")
        open_now = hall.count("ringway_tls_handshakes_open")
        holds(open_now > HALF / 2, f"{open_now} handshakes open")
        among_them = slowest(client, 6)
        client.echoes(TEXT, b"when they are gone")
    took = f"{among_them * 1000:.0f} ms among them, {alone * 1000:.0f} ms alone"
    holds(among_them < 0.5 + 4 * alone, took)
    gone = lambda count: count >= before + HALF
    same(until(lambda: hall.count("ringway_refusals_total", "tls_timeout"), gone), before + HALF)
    for stream in crowd:
        stream.close()
    same(until(lambda: hall.count("ringway_tls_handshakes_open"), lambda count: count == 0), 0)


def slowest(client, seconds):
    """The slowest of all echoes in this time."""
    worst, end = 0, time.monotonic() + seconds
    while (start := time.monotonic()) < end:
        client.echoes(TEXT, b"undisturbed")
        worst = max(worst, time.monotonic() - start)
        time.sleep(0.005)
    return worst


CHECKS = [a_tunnel_does_not_notice_six_hundred_half_handshakes]

if __name__ == "__main__":
    sys.exit(tell("crowd", CHECKS))
