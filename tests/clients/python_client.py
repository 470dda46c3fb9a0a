"""Drives `ringway demo` with the Python package `websockets`, and by hand where a client must misbehave.

    python3 tests/clients/python_client.py 127.0.0.1:8080            one line for each fact that holds
    python3 tests/clients/python_client.py 127.0.0.1:8080 --goodbye  opens tunnels and waits for their end
"""

import hashlib
import json
import os
import socket
import struct
import sys

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

PATIENCE = 20
BACKENDS = {"anna", "ben", "cleo"}


def main():
    address = sys.argv[1]
    if "--goodbye" in sys.argv:
        return goodbye(address)
    failed = 0
    for check in CHECKS:
        fact = check.__name__.replace("_", " ")
        try:
            check(address)
            print(f"ok      python: {fact}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAILED  python: {fact}: {error!r}", flush=True)
    return 1 if failed else 0


def goodbye(address):
    """Three silent tunnels, each of which must be told 1001 when the demo goes down."""
    tunnels = [tunnel(address) for _ in range(3)]
    for each in tunnels:
        echoes(each, "before the goodbye")
    print("waiting", flush=True)
    codes = []
    for each in tunnels:
        try:
            each.recv(timeout=PATIENCE)
        except ConnectionClosed as closed:
            codes.append(closed.rcvd.code if closed.rcvd else None)
    return same(codes, [1001, 1001, 1001]) or print("ok      python: every tunnel was told 1001", flush=True)


# --- What must hold ---


def text_and_binary_come_back_as_they_were(address):
    with tunnel(address) as client:
        for message in ["", "hello", "grüße, 世界 🌍", "x" * 126, "y" * 65_536, b"", bytes(range(256))]:
            echoes(client, message)


def a_message_of_one_mebibyte_comes_back_whole(address):
    message = os.urandom(1 << 20)
    with tunnel(address) as client:
        client.send(message)
        echo = client.recv(timeout=PATIENCE)
    same(hashlib.sha256(echo).hexdigest(), hashlib.sha256(message).hexdigest())


def a_message_in_fragments_comes_back_as_one(address):
    with tunnel(address) as client:
        client.send(iter(["in ", "three ", "fragments"]))
        same(client.recv(timeout=PATIENCE), "in three fragments")


def a_hundred_messages_in_flight_keep_their_order(address):
    with tunnel(address) as client:
        for number in range(100):
            client.send(f"message {number}")
        same([client.recv(timeout=PATIENCE) for _ in range(100)], [f"message {number}" for number in range(100)])


def a_ping_is_answered(address):
    with tunnel(address) as client:
        if not client.ping(b"there?").wait(PATIENCE):
            raise AssertionError("no pong")


def every_backend_says_who_it_is(address):
    seen = set()
    for _ in range(60):
        with tunnel(address, "/ws/hello") as client:
            seen.add(json.loads(client.recv(timeout=PATIENCE))["backend"])
        if seen == BACKENDS:
            return
    same(seen, BACKENDS)


def a_subprotocol_is_negotiated_end_to_end(address):
    with tunnel(address, subprotocols=["chat.v2", "chat.v1"]) as client:
        same(client.subprotocol, "chat.v2")


def close_codes_travel_both_ways(address):
    for code, reason in [(1000, ""), (1000, "done"), (3000, "a library's"), (4999, "our own")]:
        with tunnel(address) as client:
            client.close(code, reason)
            same(client.protocol.close_rcvd.code, code)


def an_unmasked_frame_costs_its_sender_1002(address):
    same(code_after(address, b"\x81\x02hi"), 1002)


def a_reserved_opcode_costs_its_sender_1002(address):
    same(code_after(address, b"\x83\x80\0\0\0\0"), 1002)


def a_header_byte_by_byte_opens_a_tunnel(address):
    with raw(address) as stream:
        for byte in HEAD:
            stream.sendall(bytes([byte]))
        same(read_head(stream).split(b"\r\n")[0], b"HTTP/1.1 101 Switching Protocols")


def a_wrong_version_is_told_the_right_one(address):
    with raw(address) as stream:
        stream.sendall(HEAD.replace(b"Version: 13", b"Version: 8"))
        head = read_head(stream)
        same((b" 426 " in head, b"Sec-WebSocket-Version: 13" in head), (True, True))


def a_client_that_wants_too_much_gets_a_status(address):
    try:
        tunnel(address, "/" + "a" * 9_000).close()
    except InvalidStatus as refused:
        return same(refused.response.status_code, 414)
    raise AssertionError("a target of 9000 bytes opened a tunnel")


def messages_that_are_looked_into_come_back_as_they_were(address):
    with tunnel(address, "/inspected") as client:
        for message in ["", "grüße, 世界 🌍" * 700, bytes(range(256)) * 200]:
            echoes(client, message)
        client.send(iter(["in ", "three ", "fragments"]))
        same(client.recv(timeout=PATIENCE), "in three fragments")


def text_that_is_none_costs_its_sender_1007(address):
    with tunnel(address, "/inspected") as client:
        client.send(b"not \xff text", text=True)
        same(code_at_the_end(client), 1007)


def a_message_that_is_too_long_costs_its_sender_1009(address):
    with tunnel(address, "/inspected") as client:
        client.send("x" * 65_537)
        same(code_at_the_end(client), 1009)


def a_silent_client_answers_the_pings_and_stays(address):
    with tunnel(address, "/inspected") as client:
        try:
            client.recv(timeout=4)
        except TimeoutError:
            return echoes(client, "still here")
    raise AssertionError("a message came from nowhere")


CHECKS = [
    text_and_binary_come_back_as_they_were,
    a_message_of_one_mebibyte_comes_back_whole,
    a_message_in_fragments_comes_back_as_one,
    a_hundred_messages_in_flight_keep_their_order,
    a_ping_is_answered,
    every_backend_says_who_it_is,
    a_subprotocol_is_negotiated_end_to_end,
    close_codes_travel_both_ways,
    an_unmasked_frame_costs_its_sender_1002,
    a_reserved_opcode_costs_its_sender_1002,
    a_header_byte_by_byte_opens_a_tunnel,
    a_wrong_version_is_told_the_right_one,
    a_client_that_wants_too_much_gets_a_status,
    messages_that_are_looked_into_come_back_as_they_were,
    text_that_is_none_costs_its_sender_1007,
    a_message_that_is_too_long_costs_its_sender_1009,
    a_silent_client_answers_the_pings_and_stays,
]


# --- Helpers ---


def tunnel(address, path="/ws", **options):
    options = {"open_timeout": PATIENCE, "close_timeout": PATIENCE, "max_size": None} | options
    return connect(f"ws://{address}{path}", **options)


def echoes(client, message):
    client.send(message)
    same(client.recv(timeout=PATIENCE), message)


def code_at_the_end(client):
    """The code of the Close frame that ends a tunnel."""
    try:
        client.recv(timeout=PATIENCE)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None
    return "no end"


def same(found, expected):
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


def raw(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def read_head(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        if not byte:
            break
        head += byte
    return head


def code_after(address, frame):
    """The code of the Close frame that answers `frame`."""
    with raw(address) as stream:
        stream.sendall(HEAD)
        read_head(stream)
        stream.sendall(frame)
        answer = b""
        while len(answer) < 4:
            more = stream.recv(4 - len(answer))
            if not more:
                break
            answer += more
        same(answer[:1], b"\x88")
        return struct.unpack("!H", answer[2:4])[0]


# The key is the example of RFC 6455 section 1.3.
HEAD = (
    b"GET /ws HTTP/1.1\r\nHost: demo\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

if __name__ == "__main__":
    sys.exit(main())
