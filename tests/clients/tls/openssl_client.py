"""Drives Ringway with `openssl s_client`, WebSocket frames by hand.

    python3 tests/clients/tls/openssl_client.py FOLDER
"""

import base64
import os
import re
import subprocess
import sys
import threading

from facts import BINARY, CLOSE, PATIENCE, TEXT, Hall, echoed, frame, head, holds, same, tell, until

VERSIONS = ["-tls1_3", "-tls1_2"]


def a_tunnel_echoes_in_both_versions(hall):
    for version, name in zip(VERSIONS, ["TLSv1.3", "TLSv1.2"]):
        with Client(hall, version) as client:
            client.says(f"Protocol version: {name}")
            client.says("Verification: OK")
            client.upgrade()
            for bytes_sent in [0, 1, 125, 126, 4096, 70_000, 1_000_000]:
                client.echoes(BINARY, b"0123456789" * (bytes_sent // 10) + b"x" * (bytes_sent % 10))


def new_keys_are_taken_between_messages(hall):
    # `K` asks for a new key of ours too, `k` does not.
    with Client(hall, "-tls1_3") as client:
        client.upgrade()
        for number, order in enumerate("KkKKkkK"):
            client.echoes(TEXT, b"before %d" % number)
            client.order(order, "KEYUPDATE", number + 1)
            client.echoes(TEXT, b"after %d" % number)


def every_cipher_carries_tunnels(hall):
    for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]:
        with Client(hall, "-tls1_3", "-ciphersuites", suite) as client:
            client.says(f"Ciphersuite: {suite}")
            client.upgrade()
            client.echoes(BINARY, b"5" * 40_000)
    for key in ["ECDSA", "RSA"]:
        for cipher in ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"]:
            suite = f"ECDHE-{key}-{cipher}"
            with Client(hall, "-tls1_2", "-cipher", suite) as client:
                client.says(f"Ciphersuite: {suite}")
                client.upgrade()
                client.echoes(BINARY, b"5" * 40_000)


def every_key_exchange_is_agreed_on(hall):
    named = [("X25519", "X25519"), ("P-256", "prime256v1"), ("P-384", "secp384r1")]
    for group, name in named:
        for version in VERSIONS:
            # In TLS 1.2 the groups are also those of the certificate's key, so it must not be an elliptic one.
            with Client(hall, version, "-groups", group, "-sigalgs", "RSA-PSS+SHA256") as client:
                client.says(f"Server Temp Key: .*{name}")
                client.upgrade()
                client.echoes(TEXT, b"hello")
    # What is offered first is no group of ours: the client is asked for another share.
    with Client(hall, "-tls1_3", "-groups", "P-521:P-256") as client:
        client.upgrade()
        client.echoes(TEXT, b"hello")


def the_kind_of_key_follows_what_the_client_can_check(hall):
    for version in VERSIONS:
        for signatures, kind in [("ECDSA+SHA256", "ECDSA"), ("RSA-PSS+SHA256", "RSA-PSS")]:
            with Client(hall, version, "-sigalgs", signatures) as client:
                client.says(f"Signature type: {kind}")
                client.says(f"CN = default-{'elliptic' if kind == 'ECDSA' else 'rsa'}")
                client.upgrade()
                client.echoes(TEXT, b"hello")
    with Client(hall, "-tls1_2", "-sigalgs", "RSA+SHA256") as client:
        client.says("Signature type: RSA")
        client.upgrade()


def the_certificate_follows_the_name(hall):
    for name, common_name in [
        ("chat.test", "exact"),
        ("CHAT.test", "exact"),
        ("a.wild.test", "wildcard"),
        ("b.wild.test", "wildcard"),
        ("a.b.wild.test", "default-elliptic"),
        ("elsewhere.test", "default-elliptic"),
        ("default.test", "default-elliptic"),
        (None, "default-elliptic"),
    ]:
        for version in VERSIONS:
            with Client(hall, version, "-sigalgs", "ECDSA+SHA256", name=name) as client:
                client.says(f"CN = {common_name}")


def a_name_without_a_certificate_is_refused_where_that_is_set(hall):
    refused(hall, "tls_unknown_name", 112, "-tls1_3", listener="strict", name="elsewhere.test")
    with Client(hall, "-tls1_3", listener="strict", name="chat.test") as client:
        client.says("CN = exact")
        client.upgrade()
        client.echoes(TEXT, b"hello")


def http_1_1_is_agreed_on_and_nothing_else(hall):
    for version in VERSIONS:
        for offered, agreed in [("http/1.1", "ALPN protocol: http/1.1"), ("h2,http/1.1", "ALPN protocol: http/1.1")]:
            done = handshake(hall, version, "-alpn", offered)
            holds(agreed in done, done)
        done = handshake(hall, version)
        holds("No ALPN negotiated" in done, done)
        refused(hall, "tls_no_shared_protocol", 120, version, "-alpn", "h2")


def sessions_are_resumed(hall):
    for version in VERSIONS:
        file = hall.file("session.pem")
        first = handshake(hall, version, "-sess_out", file)
        holds("New, " in first and "Reused, " not in first, first)
        for _ in range(4):
            # Each may come to another worker. A ticket of TLS 1.3 may be used once more here.
            with hall.counts("ringway_tls_resumed_handshakes_total"):
                again = handshake(hall, version, "-sess_in", file)
            holds("Reused, " in again, again)


def a_session_is_not_resumed_where_there_are_no_tickets(hall):
    file = hall.file("nothing.pem")
    handshake(hall, "-tls1_3", "-sess_out", file, listener="strict")
    holds(not os.path.exists(file), "a ticket came")


def data_before_the_handshake_is_left_out_and_the_rest_goes_on(hall):
    with Client(hall, "-tls1_3", "-sess_out", hall.file("session.pem")) as client:
        client.upgrade()
    with open(hall.file("session.pem")) as file:
        session = with_early_data(file.read())
    with open(hall.file("early.pem"), "w") as file:
        file.write(session)
    with open(hall.file("early"), "wb") as file:
        file.write(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
    options = ["-sess_in", hall.file("early.pem"), "-early_data", hall.file("early")]
    with hall.counts("ringway_tls_resumed_handshakes_total"):
        # The tunnel's first answer would be one to the early requests.
        with Client(hall, "-tls1_3", *options, brief=False) as client:
            client.prints("Early data was rejected")
            client.prints("Reused, TLSv1.3")
            client.upgrade()
            client.echoes(TEXT, b"only this")


def old_versions_are_refused(hall):
    # They name no kinds of signatures, and rustls looks for those before it looks at the version.
    for version in ["-tls1_1", "-tls1"]:
        refused(hall, "tls_no_shared_version", 70, version, "-cipher", "ALL:@SECLEVEL=0")
    refused(hall, "tls_no_shared_version", 70, "-tls1_2", listener="strict")


def weak_ciphers_are_refused(hall):
    for cipher in [
        "NULL",
        "AES128-SHA",
        "AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA384",
        "DHE-RSA-AES128-GCM-SHA256",
        "AECDH-AES128-SHA",
        "ECDHE-ECDSA-AES128-CCM8",
        "ECDHE-RSA-CAMELLIA128-SHA256",
    ]:
        refused(hall, "tls_no_shared_suite", 40, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
    refused(hall, "tls_no_shared_suite", 40, "-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256")


def strange_groups_and_signatures_are_refused(hall):
    for version in VERSIONS:
        refused(hall, "tls_no_shared_suite", 40, version, "-groups", "P-521")
    weak = ["-sigalgs", "ECDSA+SHA1:RSA+SHA1", "-cipher", "ALL:@SECLEVEL=0"]
    refused(hall, "tls_no_shared_suite", 40, "-tls1_2", *weak)


def a_second_handshake_ends_the_tunnel_by_the_alert_for_it(hall):
    with Client(hall, "-tls1_2") as client:
        client.upgrade()
        client.echoes(TEXT, b"before")
        with hall.ends("tls_violation"):
            client.order("R", "RENEGOTIATING")
            client.says("no renegotiation|alert number 100")


def the_end_is_said_and_heard(hall):
    for version in VERSIONS:
        with hall.ends("close_handshake"):
            with Client(hall, version, "-msg") as client:
                client.upgrade(inside=True)
                client.send(frame(CLOSE, b"\x03\xe8bye"))
                client.prints("<<< .*[\\s\\S]*close_notify")


CHECKS = [
    a_tunnel_echoes_in_both_versions,
    new_keys_are_taken_between_messages,
    every_cipher_carries_tunnels,
    every_key_exchange_is_agreed_on,
    the_kind_of_key_follows_what_the_client_can_check,
    the_certificate_follows_the_name,
    a_name_without_a_certificate_is_refused_where_that_is_set,
    http_1_1_is_agreed_on_and_nothing_else,
    sessions_are_resumed,
    a_session_is_not_resumed_where_there_are_no_tickets,
    data_before_the_handshake_is_left_out_and_the_rest_goes_on,
    old_versions_are_refused,
    weak_ciphers_are_refused,
    strange_groups_and_signatures_are_refused,
    a_second_handshake_ends_the_tunnel_by_the_alert_for_it,
    the_end_is_said_and_heard,
]


# --- Helpers ---


class Client:
    """One `openssl s_client`. A line that begins with a capital Q, R, K or B, or with k, would be an order to it: what
    is sent begins with other bytes, and long payloads are digits under a mask of zeros."""

    def __init__(self, hall: Hall, *options, name="localhost", listener="tls", brief=True):
        command = arguments(hall, name, listener, options) + (["-brief"] if brief else [])
        self.process = subprocess.Popen(command, bufsize=0, stdin=-1, stdout=-1, stderr=-1)
        self.out, self.err = bytearray(), bytearray()
        self.readers = [
            threading.Thread(target=self.read, args=(stream, into))
            for stream, into in [(self.process.stdout, self.out), (self.process.stderr, self.err)]
        ]
        for reader in self.readers:
            reader.start()
        self.seen = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for reader in self.readers:
            reader.join()

    def read(self, stream, into):
        while more := stream.read(1 << 16):
            into += more

    def send(self, data):
        while data:
            data = data[self.process.stdin.write(data) :]

    def upgrade(self, inside=False):
        if not inside:
            until(lambda: self.err + self.out, lambda words: b"ESTABLISHED" in words or b"---\n" in words)
        self.send(head())
        self.comes(lambda: b"\r\n\r\n" in self.out[self.seen :] and b"HTTP/1.1 101 " in self.out[self.seen :])
        self.seen = self.out.index(b"\r\n\r\n", self.out.index(b"HTTP/1.1 101 ")) + 4

    def echoes(self, opcode, payload):
        self.send(frame(opcode, payload))
        expected = echoed(opcode, payload)
        # A client that is not brief prints tickets as they come.
        self.comes(lambda: expected in self.out[self.seen :])
        self.seen = len(self.out)

    def order(self, letter, told, times=1):
        self.send(letter.encode() + b"\n")
        self.comes(lambda: (self.err + self.out).count(told.encode()) >= times)

    def says(self, pattern):
        self.comes(lambda: re.search(pattern, self.err.decode(errors="replace")))

    def prints(self, pattern):
        self.comes(lambda: re.search(pattern, self.out.decode(errors="replace")))

    def comes(self, is_there):
        if not until(is_there, bool):
            raise AssertionError(f"it did not come; said {self.err[-600:]!r}, printed {bytes(self.out[-600:])!r}")


def arguments(hall, name, listener, options):
    named = ["-noservername"] if name is None else ["-servername", name]
    address = f"127.0.0.1:{hall.port(listener)}"
    return ["openssl", "s_client", "-connect", address, "-CAfile", hall.file("ca.pem"), *named, *options]


def handshake(hall, *options, name="localhost", listener="tls"):
    """All that is said of a handshake, after one answer of the backend."""
    command = arguments(hall, name, listener, options) + ["-ign_eof"]
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    done = subprocess.run(command, input=request, capture_output=True, timeout=PATIENCE)
    return (done.stdout + done.stderr).decode(errors="replace")


def refused(hall, reason, alert, *options, **others):
    with hall.refuses(reason):
        said = handshake(hall, *options, **others)
    holds(f"SSL alert number {alert}" in said, said)


def with_early_data(session):
    """The same session, as if its ticket allowed data before the handshake: s_client would send none otherwise. It is
    ASN.1, and what is missing is the element [15] (OpenSSL, ssl_asn1.c)."""
    lines = session.split("-----")
    elements = children(base64.b64decode(lines[2]))
    elements = [one for one in elements if one[0] != 0xAF] + [b"\xaf\x04\x02\x02\x40\x00"]
    # Numbers of small elements stand in their first byte; they are sorted by it, behind those of other classes.
    plain = [one for one in elements if one[0] < 0xA0]
    tagged = sorted((one for one in elements if one[0] >= 0xA0), key=lambda one: one[0])
    body = b"".join(plain + tagged)
    whole = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    lines[2] = "\n" + base64.encodebytes(whole).decode()
    return "-----".join(lines)


def children(sequence):
    """The elements of a sequence of ASN.1, each as it stands."""
    at, _ = body_of(sequence, 0)
    elements = []
    while at < len(sequence):
        start, length = body_of(sequence, at)
        elements.append(sequence[at : start + length])
        at = start + length
    return elements


def body_of(data, at):
    length = data[at + 1]
    if length < 0x80:
        return at + 2, length
    size = length & 0x7F
    return at + 2 + size, int.from_bytes(data[at + 2 : at + 2 + size], "big")


if __name__ == "__main__":
    sys.exit(tell("openssl", CHECKS))
