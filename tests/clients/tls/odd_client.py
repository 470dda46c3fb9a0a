"""Drives Ringway by records that are odd and legal.

    python3 tests/clients/tls/odd_client.py FOLDER
"""

import sys

from facts import BINARY, PING, TEXT, echoed, frame, head, holds, tell
from records import DATA, HANDSHAKE, RECORD_MAX, TLS_1_2, TLS_1_3, Client, key_update


def every_version_and_cipher_is_spoken_as_this_library_does(hall):
    for version in [TLS_1_3, TLS_1_2]:
        for cipher in ["aes128gcm", "aes256gcm", "chacha20-poly1305"]:
            with Client(hall, version, cipherNames=[cipher]) as client:
                for payload in [b"", b"x", b"y" * 20_000]:
                    client.echoes(BINARY, payload)


def every_key_exchange_is_agreed_on_also_one_safe_from_a_quantum_computer(hall):
    for group in ["x25519", "secp256r1", "secp384r1", "x25519mlkem768"]:
        with Client(hall, eccCurves=[group], keyShares=[group]) as client:
            client.echoes(TEXT, b"hello")


def a_client_that_sends_no_share_is_asked_for_one(hall):
    for group in ["x25519", "x25519mlkem768"]:
        with Client(hall, eccCurves=[group], keyShares=[]) as client:
            client.echoes(TEXT, b"hello")


def a_handshake_in_records_of_a_few_bytes_is_one(hall):
    for version in [TLS_1_3, TLS_1_2]:
        for size in [4, 100]:
            with Client(hall, version, record=size) as client:
                client.echoes(TEXT, b"hello")


def empty_records_between_others_are_nothing(hall):
    for version in [TLS_1_3, TLS_1_2]:
        with Client(hall, version) as client:
            for number in range(40):
                client.record(DATA, b"")
                client.record(DATA, b"")
                client.echoes(TEXT, b"%d" % number)


def padding_of_any_length_is_taken_off(hall):
    with Client(hall) as client:
        for padding in [1, 2, 255, 256, 4096, 16_000]:
            client.record(DATA, frame(TEXT, b"padded"), padding)
            client.comes(TEXT, b"padded")
            client.record(DATA, b"", padding)
        sent = frame(BINARY, b"z" * 60_000)
        for at in range(0, len(sent), 1000):
            # The longest that may be: content, its type and padding are one more than content may be.
            part = sent[at : at + 1000]
            client.record(DATA, part, RECORD_MAX - len(part))
        client.comes(BINARY, b"z" * 60_000)


def new_keys_are_taken_even_cut_over_records(hall):
    with Client(hall) as client:
        for round in range(12):
            message = key_update(round % 2)
            cut = round % 5
            if cut:
                client.record(HANDSHAKE, message[:cut])
            client.record(HANDSHAKE, message[cut:], padding=round)
            client.next_key()
            client.echoes(BINARY, b"%d" % round * 5000)


def a_new_key_may_stand_in_one_piece_with_what_follows_it(hall):
    with Client(hall) as client:
        with client.collected():
            for asks in [1, 1, 0]:
                client.record(DATA, frame(TEXT, b"before"))
                client.record(HANDSHAKE, key_update(asks))
                client.next_key()
                client.record(DATA, frame(TEXT, b"behind"))
        for _ in range(3):
            client.comes(TEXT, b"before")
            client.comes(TEXT, b"behind")


def records_of_the_greatest_size_are_taken(hall):
    for version in [TLS_1_3, TLS_1_2]:
        with Client(hall, version) as client:
            payload = b"m" * (20 * RECORD_MAX)
            sent = frame(BINARY, payload)
            for at in range(0, len(sent), RECORD_MAX):
                client.record(DATA, sent[at : at + RECORD_MAX])
            client.comes(BINARY, payload)


def one_byte_for_each_record_is_the_same_message(hall):
    for version in [TLS_1_3, TLS_1_2]:
        with Client(hall, version) as client:
            for byte in frame(BINARY, b"n" * 2000):
                client.record(DATA, [byte])
            client.comes(BINARY, b"n" * 2000)


def one_byte_for_each_segment_is_the_same_message(hall):
    with Client(hall) as client:
        socket = client.records._recordSocket.sock
        client.records._recordSocket.sock = Dripper(socket)
        for opcode in [TEXT, PING, BINARY]:
            client.record(DATA, frame(opcode, b"drop"))
        client.record(HANDSHAKE, key_update(1))
        client.next_key()
        client.record(DATA, frame(TEXT, b"by drop"))
        client.records._recordSocket.sock = socket
        client.comes(TEXT, b"drop")
        client.read(len(echoed(PING, b"drop")))
        client.comes(BINARY, b"drop")
        client.comes(TEXT, b"by drop")


def a_request_comes_in_records_of_any_kind(hall):
    request = head()
    for version in [TLS_1_3, TLS_1_2]:
        with Client(hall, version, path=None) as client:
            for byte in request:
                client.record(DATA, [byte])
            client.record(DATA, b"")
            client.upgraded()
            client.echoes(TEXT, b"hello")
        with Client(hall, version, path=None) as client:
            # Frames right behind it, the last of them in a record whose rest comes later.
            with client.collected():
                client.record(DATA, b"")
                client.record(DATA, request + frame(TEXT, b"at once"))
                client.record(DATA, frame(TEXT, b"behind"))
                client.record(DATA, frame(BINARY, b"l" * 9000))
                wire = client.records._recordSocket.sock.wire
                later = bytes(wire[-5000:])
                del wire[-5000:]
            client.upgraded()
            client.comes(TEXT, b"at once")
            client.comes(TEXT, b"behind")
            client.raw(later)
            client.comes(BINARY, b"l" * 9000)
            client.echoes(TEXT, b"hello")


def new_keys_before_and_around_the_request_are_taken(hall):
    for listener in ["tls", "strict"]:
        with Client(hall, path=None, listener=listener) as client:
            parts = [head()[:50], head()[50:], frame(TEXT, b"at once")]
            with client.collected():
                for asks, part in enumerate(parts):
                    client.record(HANDSHAKE, key_update(asks % 2))
                    client.next_key()
                    client.record(DATA, part, padding=asks)
            client.upgraded()
            client.comes(TEXT, b"at once")
            client.echoes(TEXT, b"hello")


def half_of_the_stream_may_end_first(hall):
    """As over TCP: whoever says that nothing more comes still gets what is under way."""
    for version in [TLS_1_3, TLS_1_2]:
        with Client(hall, version) as client:
            client.write(frame(BINARY, b"h" * 500_000))
            client.record(21, [1, 0])
            client.stream.shutdown(1)
            client.comes(BINARY, b"h" * 500_000)


def the_end_is_said_before_the_stream_ends(hall):
    for version in [TLS_1_3, TLS_1_2]:
        with hall.ends("close_handshake"), Client(hall, version) as client:
            client.write(frame(8, b"\x03\xe8"))
            client.comes(8, b"\x03\xe8")
            # `read` ends by `close_notify`; without it tlslite-ng raises TLSAbruptCloseError.
            holds(client.tls.read(max=1, min=1) == b"", "more")


CHECKS = [
    every_version_and_cipher_is_spoken_as_this_library_does,
    every_key_exchange_is_agreed_on_also_one_safe_from_a_quantum_computer,
    a_client_that_sends_no_share_is_asked_for_one,
    a_handshake_in_records_of_a_few_bytes_is_one,
    empty_records_between_others_are_nothing,
    padding_of_any_length_is_taken_off,
    new_keys_are_taken_even_cut_over_records,
    a_new_key_may_stand_in_one_piece_with_what_follows_it,
    records_of_the_greatest_size_are_taken,
    one_byte_for_each_record_is_the_same_message,
    one_byte_for_each_segment_is_the_same_message,
    a_request_comes_in_records_of_any_kind,
    new_keys_before_and_around_the_request_are_taken,
    half_of_the_stream_may_end_first,
    the_end_is_said_before_the_stream_ends,
]


class Dripper:
    """Sends byte by byte."""

    def __init__(self, socket):
        self.socket = socket

    def send(self, data):
        return self.socket.send(data[:1])


if __name__ == "__main__":
    sys.exit(tell("odd", CHECKS))
