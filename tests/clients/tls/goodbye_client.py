"""Six tunnels that stay open: when Ringway goes down, each must be told 1001 and then that its stream has ended.

    python3 tests/clients/tls/goodbye_client.py FOLDER
"""

import ssl
import sys

from facts import CLOSE, PATIENCE, TEXT, frame, holds, same, tell
from records import TLS_1_2, TLS_1_3, Client
from websockets.exceptions import ConnectionClosed
from websockets_client import tunnel


def every_tunnel_is_told_1001_and_its_stream_ends(hall):
    kept = [tunnel(hall, path, version=version) for path, version in BY_WEBSOCKETS]
    by_library = [each.__enter__() for each in kept]
    by_hand = [Client(hall, version, path=path) for path, version in BY_HAND]
    for each in by_library:
        each.send("before the goodbye")
        same(each.recv(timeout=PATIENCE), "before the goodbye")
    for each in by_hand:
        each.echoes(TEXT, b"before the goodbye")
    print("waiting", flush=True)
    for each in by_library:
        same(code_at_the_end(each), 1001)
    for each in by_hand:
        start = each.read(4)
        same((start[0], int.from_bytes(start[2:], "big")), (0x80 | CLOSE, 1001))
        each.read((start[1] & 0x7F) - 2)
        each.write(frame(CLOSE, b"\x03\xe9"))
        # Without `close_notify` this is an error.
        holds(each.tls.read(max=1, min=1) == b"", "more")


CHECKS = [every_tunnel_is_told_1001_and_its_stream_ends]

BY_WEBSOCKETS = [
    ("/ws", ssl.TLSVersion.TLSv1_3),
    ("/trusted", ssl.TLSVersion.TLSv1_3),
    ("/older", ssl.TLSVersion.TLSv1_2),
]
BY_HAND = [("/ws", TLS_1_3), ("/ws", TLS_1_2), ("/trusted", TLS_1_3)]


def code_at_the_end(client):
    try:
        client.recv(timeout=PATIENCE)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None
    return "no end"


if __name__ == "__main__":
    sys.exit(tell("goodbye", CHECKS))
