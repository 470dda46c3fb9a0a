"""Drives Ringway by what may not be: each is told by its alert, counted by its reason, and leaves nothing behind.

    python3 tests/clients/tls/hostile_client.py FOLDER
"""

import os
import random
import socket
import ssl
import struct
import sys

from facts import TEXT, frame, same, tell, until
from records import ALERT, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE, RECORD_MAX, TLS_1_2, TLS_1_3
from records import Client, connect, key_update

UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW, ILLEGAL_PARAMETER = 10, 20, 22, 47
DECODE_ERROR, PROTOCOL_VERSION, NO_RENEGOTIATION = 50, 70, 100
WARNING, FATAL, USER_CANCELED = 1, 2, 90


def a_record_that_is_too_long_is_refused(hall):
    for version, longest in [(TLS_1_3, RECORD_MAX + 256), (TLS_1_2, RECORD_MAX + 2048)]:
        violates(hall, RECORD_OVERFLOW, lambda one: one.raw(header(DATA, longest + 1)), version)
        violates(hall, RECORD_OVERFLOW, lambda one: one.record(DATA, b"x" * (RECORD_MAX + 1)), version)
    violates(hall, RECORD_OVERFLOW, lambda one: one.record(DATA, b"x", padding=RECORD_MAX))


def what_stands_behind_a_new_key_in_its_record_is_refused(hall):
    for behind in [key_update(0), b"\0", b"\x18"]:
        violates(hall, UNEXPECTED_MESSAGE, lambda one: one.record(HANDSHAKE, key_update(0) + behind))


def data_in_the_middle_of_a_handshake_message_is_refused(hall):
    def half(one):
        one.record(HANDSHAKE, key_update(0)[:3])
        one.record(DATA, frame(TEXT, b"hello"))

    violates(hall, UNEXPECTED_MESSAGE, half)


def a_new_key_that_says_nonsense_is_refused(hall):
    violates(hall, ILLEGAL_PARAMETER, lambda one: one.record(HANDSHAKE, key_update(2)))
    violates(hall, DECODE_ERROR, lambda one: one.record(HANDSHAKE, b"\x18\0\0\x02\0\0"))


def records_under_the_old_key_are_refused(hall):
    def both(one):
        one.record(HANDSHAKE, key_update(0))
        one.record(DATA, frame(TEXT, b"hello"))

    violates(hall, BAD_RECORD_MAC, both)


def messages_that_no_client_sends_now_are_refused(hall):
    for kind in [1, 2, 4, 11, 13, 15, 20, 99]:
        violates(hall, UNEXPECTED_MESSAGE, lambda one: one.record(HANDSHAKE, bytes([kind, 0, 0, 4, 1, 2, 3, 4])))


def a_second_client_hello_of_tls_1_2_is_refused_by_its_own_alert(hall):
    violates(hall, NO_RENEGOTIATION, lambda one: one.record(HANDSHAKE, b"\1\0\0\4abcd"), TLS_1_2)


def unknown_kinds_of_records_are_refused(hall):
    for version in [TLS_1_3, TLS_1_2]:
        for kind in [0, 19, 24, 255]:
            violates(hall, UNEXPECTED_MESSAGE, lambda one: one.raw(header(kind, 40) + bytes(40)), version)
    for kind in [CHANGE_CIPHER_SPEC, 19, 24, 255]:
        violates(hall, UNEXPECTED_MESSAGE, lambda one: one.record(kind, b"hello"))


def a_record_without_a_kind_inside_is_refused(hall):
    violates(hall, UNEXPECTED_MESSAGE, lambda one: one.record(0, bytes(100)))


def a_change_of_ciphers_after_the_handshake_is_refused(hall):
    for version in [TLS_1_3, TLS_1_2]:
        violates(hall, UNEXPECTED_MESSAGE, lambda one: one.raw(header(CHANGE_CIPHER_SPEC, 1) + b"\1"), version)


def records_in_the_clear_are_refused(hall):
    violates(hall, UNEXPECTED_MESSAGE, lambda one: one.raw(header(ALERT, 2) + bytes([WARNING, 0])))
    violates(hall, BAD_RECORD_MAC, lambda one: one.raw(header(ALERT, 2) + bytes([WARNING, 0])), TLS_1_2)
    violates(hall, PROTOCOL_VERSION, lambda one: one.raw(bytes([DATA, 3, 1, 0, 40]) + bytes(40)))


def one_wrong_bit_is_refused(hall):
    for version in [TLS_1_3, TLS_1_2]:
        violates(hall, BAD_RECORD_MAC, lambda one: one.raw(header(DATA, 40) + bytes(40)), version)
        violates(hall, BAD_RECORD_MAC, lambda one: one.raw(header(DATA, 3) + bytes(3)), version)


def a_flood_of_warnings_is_refused(hall):
    for version in [TLS_1_3, TLS_1_2]:
        flood = lambda one: repeat(40, lambda: one.record(ALERT, [WARNING, USER_CANCELED]))
        violates(hall, UNEXPECTED_MESSAGE, flood, version)


def a_flood_of_empty_records_is_refused(hall):
    for version in [TLS_1_3, TLS_1_2]:
        violates(hall, UNEXPECTED_MESSAGE, lambda one: repeat(200, lambda: one.record(DATA, b"")), version)


def a_flood_of_new_keys_is_refused(hall):
    def update(one):
        one.record(HANDSHAKE, key_update(1))
        one.next_key()

    violates(hall, UNEXPECTED_MESSAGE, lambda one: repeat(200, lambda: update(one)))


def broken_alerts_are_refused(hall):
    violates(hall, DECODE_ERROR, lambda one: one.record(ALERT, [WARNING]))
    violates(hall, DECODE_ERROR, lambda one: one.record(ALERT, [WARNING, 0, 0]))
    violates(hall, UNEXPECTED_MESSAGE, lambda one: one.record(ALERT, b""))
    violates(hall, ILLEGAL_PARAMETER, lambda one: one.record(ALERT, [9, 0]))


def whoever_gives_up_by_an_alert_is_counted(hall):
    for version in [TLS_1_3, TLS_1_2]:
        with hall.ends("tls_aborted"), Client(hall, version) as client:
            client.record(ALERT, [FATAL, 80])


def what_may_not_be_may_not_be_before_the_request_either(hall):
    empty = lambda one: repeat(200, lambda: one.record(DATA, b""))
    for alert, act, version in [
        (UNEXPECTED_MESSAGE, lambda one: one.record(HANDSHAKE, key_update(0) + b"\0"), TLS_1_3),
        (UNEXPECTED_MESSAGE, lambda one: one.raw(header(CHANGE_CIPHER_SPEC, 1) + b"\1"), TLS_1_3),
        (RECORD_OVERFLOW, lambda one: one.record(DATA, b"G" * (RECORD_MAX + 1)), TLS_1_3),
        (UNEXPECTED_MESSAGE, empty, TLS_1_3),
        (UNEXPECTED_MESSAGE, empty, TLS_1_2),
        (NO_RENEGOTIATION, lambda one: one.record(HANDSHAKE, b"\1\0\0\4abcd"), TLS_1_2),
        (BAD_RECORD_MAC, lambda one: one.raw(header(DATA, 40) + bytes(40)), TLS_1_2),
    ]:
        for start in [b"", b"GET /ws HTTP/1.1\r\nHost: "]:
            with hall.refuses("tls_protocol"), Client(hall, version, path=None) as client:
                if start:
                    client.write(start)
                act(client)
                same(client.alert(), alert)
    for version in [TLS_1_3, TLS_1_2]:
        with hall.refuses("tls_alert"), Client(hall, version, path=None) as client:
            client.record(ALERT, [FATAL, 80])


def a_stream_that_is_cut_off_is_told_from_one_that_ends(hall):
    for version in [TLS_1_3, TLS_1_2]:
        with hall.ends("tls_truncated"), Client(hall, version) as client:
            client.echoes(TEXT, b"hello")
            client.stream.shutdown(socket.SHUT_WR)
        with hall.ends("tls_truncated"), Client(hall, version) as client:
            client.raw(header(DATA, 100) + b"half")
            client.stream.shutdown(socket.SHUT_WR)


def a_client_that_stops_in_its_handshake_is_let_go_in_time(hall):
    whole = client_hello()
    for bytes_sent in [1, 4, 60, len(whole)]:
        with hall.refuses("tls_timeout"), connect(hall, "strict") as stream:
            stream.sendall(whole[:bytes_sent])
            while stream.recv(4096):
                pass


def a_client_that_stops_behind_its_handshake_is_told_so_in_time(hall):
    for version in [TLS_1_3, TLS_1_2]:
        with hall.refuses("head_timeout"), Client(hall, version, path=None) as client:
            client.write(b"GET /ws HTTP/1.1\r\n")
            same(client.answer().split(b"\r\n")[0], b"HTTP/1.1 408 Request Timeout")


def a_handshake_that_breaks_the_rules_is_refused(hall):
    whole = client_hello()
    for _what, sent, reason in [
        ("data first", header(DATA, 3) + b"abc", "tls_protocol"),
        ("a wrong length", whole[:6] + b"\0\0\1" + whole[9:], "tls_protocol"),
        ("a Finished", header(HANDSHAKE, 8) + b"\x14\0\0\4abcd", "tls_protocol"),
        ("a record too long", header(HANDSHAKE, RECORD_MAX + 2049), "tls_protocol"),
        ("no end of it", header(HANDSHAKE, RECORD_MAX) + b"\1\0\xff\xff" + bytes(RECORD_MAX - 4), "tls_timeout"),
        ("no TLS", b"SSH-2.0-OpenSSH_9.2\r\n", "not_tls"),
        ("SSL 2", b"\x80\x2e\x01\x00\x02" + bytes(41), "not_tls"),
    ]:
        with hall.refuses(reason), connect(hall, "strict") as stream:
            stream.sendall(sent)
            try:
                while stream.recv(4096):
                    pass
            except ConnectionResetError:
                pass


def a_handshake_without_an_end_of_its_messages_is_refused(hall):
    with hall.refuses("tls_protocol"), connect(hall) as stream:
        start = b"\1\0\xff\xf0"
        try:
            for _ in range(6):
                stream.sendall(header(HANDSHAKE, RECORD_MAX) + start + bytes(RECORD_MAX - len(start)))
                start = b""
            while stream.recv(4096):
                pass
        except OSError:
            pass


def garbage_in_hellos_never_opens_anything(hall):
    """Each bit of a good one may be wrong; what is left good is a handshake that nobody goes on with."""
    chance, whole = random.Random(7), client_hello()
    opened = hall.count("ringway_tunnels_opened_total")
    restarts = hall.count("ringway_worker_restarts_total")
    accepted = hall.count("ringway_connections_accepted_total")
    for number in range(300):
        garbage = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            garbage[chance.randrange(5, len(garbage))] ^= 1 << chance.randrange(8)
        if number % 5 == 0:
            garbage = bytearray(os.urandom(200))
        if number % 5 == 1:
            garbage[5:] = os.urandom(len(garbage) - 5)
        with connect(hall) as stream:
            stream.sendall(garbage)
            stream.shutdown(socket.SHUT_WR)
            try:
                while stream.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    until(lambda: hall.count("ringway_connections_accepted_total"), lambda count: count >= accepted + 300)
    same(hall.count("ringway_tunnels_opened_total"), opened)
    same(hall.count("ringway_worker_restarts_total"), restarts)
    same(until(lambda: hall.count("ringway_tls_handshakes_open"), lambda count: count == 0), 0)


CHECKS = [
    a_record_that_is_too_long_is_refused,
    what_stands_behind_a_new_key_in_its_record_is_refused,
    data_in_the_middle_of_a_handshake_message_is_refused,
    a_new_key_that_says_nonsense_is_refused,
    records_under_the_old_key_are_refused,
    messages_that_no_client_sends_now_are_refused,
    a_second_client_hello_of_tls_1_2_is_refused_by_its_own_alert,
    unknown_kinds_of_records_are_refused,
    a_record_without_a_kind_inside_is_refused,
    a_change_of_ciphers_after_the_handshake_is_refused,
    records_in_the_clear_are_refused,
    one_wrong_bit_is_refused,
    a_flood_of_warnings_is_refused,
    a_flood_of_empty_records_is_refused,
    a_flood_of_new_keys_is_refused,
    broken_alerts_are_refused,
    whoever_gives_up_by_an_alert_is_counted,
    what_may_not_be_may_not_be_before_the_request_either,
    a_stream_that_is_cut_off_is_told_from_one_that_ends,
    a_client_that_stops_in_its_handshake_is_let_go_in_time,
    a_client_that_stops_behind_its_handshake_is_told_so_in_time,
    a_handshake_that_breaks_the_rules_is_refused,
    a_handshake_without_an_end_of_its_messages_is_refused,
    garbage_in_hellos_never_opens_anything,
]


# --- Helpers ---


def violates(hall, alert, act, version=TLS_1_3):
    """A tunnel that lives, until this."""
    with hall.ends("tls_violation"), Client(hall, version) as client:
        client.echoes(TEXT, b"hello")
        act(client)
        same(client.alert(), alert)


def repeat(times, act):
    """As often as the other side takes it."""
    try:
        for _ in range(times):
            act()
    except OSError:
        pass


def header(kind, length):
    return struct.pack("!BHH", kind, 0x0303, length)


def client_hello():
    """The first record of OpenSSL."""
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return out.read()


if __name__ == "__main__":
    sys.exit(tell("hostile", CHECKS))
