"""Asks backends that speak TLS by other libraries what they saw of Ringway, and goes to those it must not trust.

    python3 tests/clients/tls/backends_client.py FOLDER
"""

import json
import os
import sys

from facts import PATIENCE, holds, same, tell
from websockets.exceptions import InvalidStatus
from websockets_client import tunnel


def a_backend_is_asked_for_the_name_of_its_pool_and_shown_a_certificate(hall):
    seen = who(hall, "/trusted/who")
    found = seen["asked"], seen["version"], seen["shown"]
    same(found, ("backend.internal", "TLSv1.3", "ringway"))


def a_backend_of_tls_1_2_carries_tunnels(hall):
    same(who(hall, "/older/who")["version"], "TLSv1.2")
    with tunnel(hall, "/older") as client:
        for bytes_sent in [0, 1, 16_384, 100_000, 1 << 20]:
            message = os.urandom(bytes_sent)
            client.send(message)
            same(client.recv(timeout=PATIENCE) == message, True)


def the_next_handshake_with_a_backend_resumes(hall):
    for path in ["/trusted/who", "/older/who"]:
        # Each of the two workers has tickets of its own.
        resumed = [who(hall, path)["resumed"] for _ in range(12)]
        holds(resumed.count(False) <= 2 and resumed[-1], resumed)


def a_backend_that_is_not_who_it_should_be_gets_no_request(hall):
    for path in ["/wrong-authority", "/wrong-name", "/wrong-pin"]:
        with hall.refuses("backend_tls"):
            with hall.counts("ringway_backend_failures_total", "tls"):
                same(status(hall, path), 502)
    with open(hall.file("backend.out")) as words:
        holds("wrong" not in words.read(), "a request")


def a_backend_that_uses_all_of_tls_1_3_carries_tunnels(hall):
    """Padding, empty records, tickets cut over records, a new key before each echo: see odd_backend.py."""
    with hall.ends("close_handshake"):
        with tunnel(hall, "/odd") as client:
            for number in range(40):
                message = os.urandom(number * 1000)
                client.send(message)
                same(client.recv(timeout=PATIENCE) == message, True)


CHECKS = [
    a_backend_is_asked_for_the_name_of_its_pool_and_shown_a_certificate,
    a_backend_of_tls_1_2_carries_tunnels,
    the_next_handshake_with_a_backend_resumes,
    a_backend_that_is_not_who_it_should_be_gets_no_request,
    a_backend_that_uses_all_of_tls_1_3_carries_tunnels,
]


# --- Helpers ---


def who(hall, path):
    """What a backend says of the connection that a tunnel came by."""
    with tunnel(hall, path) as client:
        seen = json.loads(client.recv(timeout=PATIENCE))
        # Tickets of TLS 1.3 come with the first bytes, so one message more is waited for.
        client.send("hello")
        same(client.recv(timeout=PATIENCE), "hello")
    return seen


def status(hall, path):
    try:
        with tunnel(hall, path):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


if __name__ == "__main__":
    sys.exit(tell("backends", CHECKS))
