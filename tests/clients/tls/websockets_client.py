"""Drives Ringway with the Python package `websockets` over OpenSSL.

It is driven through asyncio: the package's threads read and write one connection of OpenSSL at the same time, which
Python 3.11 does not guard, and one request in two hundred got lost.

    python3 tests/clients/tls/websockets_client.py FOLDER
"""

import asyncio
import hashlib
import json
import logging
import os
import socket
import ssl
import sys
import threading

from facts import PATIENCE, head, holds, same, tell
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException


def text_and_binary_come_back_as_they_were(hall):
    for version in [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2]:
        with tunnel(hall, version=version) as client:
            same(client.version(), version.name.replace("_", "."))
            for message in ["", "hello", "grüße, 世界 🌍", "x" * 126, "y" * 65_536, b"", bytes(range(256))]:
                echoes(client, message)


def a_message_of_one_mebibyte_comes_back_whole(hall):
    message = os.urandom(1 << 20)
    for path in ["/ws", "/trusted"]:
        with tunnel(hall, path) as client:
            client.send(message)
            echo = client.recv(timeout=PATIENCE)
        same(hashlib.sha256(echo).hexdigest(), hashlib.sha256(message).hexdigest())


def a_message_in_fragments_comes_back_as_one(hall):
    for path in ["/ws", "/inspected", "/trusted"]:
        with tunnel(hall, path) as client:
            client.send(iter(["in ", "three ", "fragments"]))
            same(client.recv(timeout=PATIENCE), "in three fragments")


def a_thousand_messages_in_flight_keep_their_order(hall):
    with tunnel(hall) as client:
        for number in range(1000):
            client.send(f"message {number}")
        same([client.recv(timeout=PATIENCE) for _ in range(1000)], [f"message {number}" for number in range(1000)])


def a_ping_is_answered(hall):
    with tunnel(hall) as client:
        client.ping(b"there?")


def close_codes_travel_both_ways(hall):
    with hall.counts("ringway_tunnels_ended_total", "close_handshake", by=4):
        for code, reason in [(1000, ""), (1000, "done"), (3000, "a library's"), (4999, "our own")]:
            with tunnel(hall) as client:
                client.close(code, reason)
                same(client.close_code(), code)


def text_that_is_none_costs_its_sender_1007(hall):
    with tunnel(hall, "/inspected") as client:
        client.send(b"not \xff text", text=True)
        try:
            client.recv(timeout=PATIENCE)
        except ConnectionClosed as closed:
            return same(closed.rcvd.code, 1007)
    raise AssertionError("no end")


def sessions_are_resumed_at_every_worker(hall):
    with hall.counts("ringway_tls_resumed_handshakes_total", by=8):
        for version in [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2]:
            context = security(hall, version=version)
            session = None
            for _ in range(5):
                stream = shake(hall, context, session)
                same(stream.session_reused, session is not None)
                # Tickets of TLS 1.3 come with the first bytes.
                request(stream)
                session = stream.session
                stream.close()


def a_client_with_a_certificate_is_told_to_the_backend_and_cannot_lie(hall):
    lies = {"X-Client-Subject": "CN=admin", "x_client_verify": "MAYBE"}
    context = security(hall)
    context.load_cert_chain(hall.file("device-7.pem"), hall.file("device-7.key"))
    with tunnel(hall, "/trusted/who", "devices", context=context, additional_headers=lies) as client:
        fields = json.loads(client.recv(timeout=PATIENCE))["fields"]
    same((fields.get("X-Client-Subject"), fields.get("X-Client-Verify")), ("CN=device-7", "SUCCESS"))
    holds("admin" not in str(fields) and "MAYBE" not in str(fields), fields)


def a_client_that_resumes_is_still_who_it_was(hall):
    context = security(hall)
    context.load_cert_chain(hall.file("device-7.pem"), hall.file("device-7.key"))
    session = None
    for _ in range(4):
        stream = shake(hall, context, session, "devices")
        same(stream.session_reused, session is not None)
        stream.sendall(head("/trusted/who"))
        said = b""
        while not said.endswith(b"}}"):
            said += stream.recv(4096)
        fields = json.loads(said[said.index(b'{"asked"') :])["fields"]
        same((fields.get("X-Client-Subject"), fields.get("X-Client-Verify")), ("CN=device-7", "SUCCESS"))
        session = stream.session


def a_session_of_one_listener_opens_no_other(hall):
    context = security(hall)
    stream = shake(hall, context, None)
    request(stream)
    with hall.refuses("tls_no_client_certificate"):
        try:
            request(shake(hall, context, stream.session, "devices"))
            raise AssertionError("it was let in")
        except OSError:
            pass


def a_client_without_one_has_no_tunnel(hall):
    with hall.refuses("tls_no_client_certificate"):
        refused(lambda: tunnel(hall, "/trusted", "devices"))


def a_client_that_does_not_trust_the_authority_goes_away(hall):
    # asyncio sends no alert: curl_client.py looks at how that is counted.
    refused(lambda: tunnel(hall, context=security(hall, "stranger.pem")))


def a_client_goes_away_where_the_certificate_is_for_another_host(hall):
    refused(lambda: tunnel(hall, context=security(hall), server_hostname="elsewhere.test"))


CHECKS = [
    text_and_binary_come_back_as_they_were,
    a_message_of_one_mebibyte_comes_back_whole,
    a_message_in_fragments_comes_back_as_one,
    a_thousand_messages_in_flight_keep_their_order,
    a_ping_is_answered,
    close_codes_travel_both_ways,
    text_that_is_none_costs_its_sender_1007,
    sessions_are_resumed_at_every_worker,
    a_client_with_a_certificate_is_told_to_the_backend_and_cannot_lie,
    a_client_that_resumes_is_still_who_it_was,
    a_session_of_one_listener_opens_no_other,
    a_client_without_one_has_no_tunnel,
    a_client_that_does_not_trust_the_authority_goes_away,
    a_client_goes_away_where_the_certificate_is_for_another_host,
]


# --- Helpers ---


def security(hall, authority="ca.pem", version=ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=hall.file(authority))
    context.maximum_version = version
    return context


def tunnel(hall, path="/ws", listener="tls", context=None, version=ssl.TLSVersion.TLSv1_3, **options):
    context = context or security(hall, version=version)
    options = {"open_timeout": PATIENCE, "close_timeout": PATIENCE, "max_size": None} | options
    stream = socket.create_connection(("127.0.0.1", hall.port(listener)), timeout=PATIENCE)
    return Tunnel(connect(f"wss://localhost:{hall.port(listener)}{path}", sock=stream, ssl=context, **options))


class Tunnel:
    """A tunnel of asyncio, for those who wait."""

    def __init__(self, connecting):
        self.connecting = connecting

    def __enter__(self):
        self.inner = wait(self.connecting.__aenter__())
        return self

    def __exit__(self, *_):
        wait(self.inner.close())

    def send(self, message, **options):
        wait(self.inner.send(message, **options))

    def recv(self, timeout):
        return wait(self.inner.recv(), timeout)

    def ping(self, data):
        async def answered():
            await (await self.inner.ping(data))

        wait(answered())

    def close(self, code, reason):
        wait(self.inner.close(code, reason))

    def close_code(self):
        return self.inner.close_code

    def version(self):
        return self.inner.transport.get_extra_info("ssl_object").version()


def wait(act, timeout=2 * PATIENCE):
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(act, timeout), LOOP).result()


LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()


def shake(hall, context, session, listener="tls"):
    stream = socket.create_connection(("127.0.0.1", hall.port(listener)), timeout=PATIENCE)
    return context.wrap_socket(stream, server_hostname="localhost", session=session)


def request(stream):
    """Asks for a page, and reads to the end of the stream, which must be said."""
    stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while more := stream.recv(4096):
        answer += more
    holds(answer.startswith(b"HTTP/1.1 200 "), answer)


def echoes(client, message):
    client.send(message)
    same(client.recv(timeout=PATIENCE), message)


def refused(act):
    """With TLS 1.3 a client learns of a certificate that it lacks only when it reads."""
    try:
        with act():
            pass
    except (OSError, EOFError, WebSocketException):
        return
    raise AssertionError("it has a tunnel")


if __name__ == "__main__":
    # The package calls it an internal error when an alert comes instead of an answer.
    logging.disable(logging.CRITICAL)
    sys.exit(tell("websockets", CHECKS))
