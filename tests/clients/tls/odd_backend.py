"""An echo backend of the package `tlslite-ng` that keeps to TLS 1.3 and uses all of it: records with padding and empty
ones, many tickets cut over records, a new key before every echo, and new keys asked for.

On standard output is a line with its address.
"""

import base64
import hashlib
import os
import re
import socket
import sys
import threading

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import ContentType
from tlslite.errors import TLSError
from tlslite.messages import Message

FOLDER = sys.argv[1]
SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def main():
    chain = X509CertChain()
    chain.parsePemList(read("backend.pem"))
    key = parsePEMKey(read("backend.key"), private=True)
    listening = socket.create_server(("127.0.0.1", 0))
    print("odd %s:%d" % listening.getsockname(), flush=True)
    while True:
        stream, _ = listening.accept()
        threading.Thread(target=serve, args=(stream, chain, key), daemon=True).start()


def serve(stream, chain, key):
    stream.settimeout(20)
    try:
        echo(stream, chain, key)
    except (OSError, TLSError) as error:
        print("ended:", repr(error), flush=True)
    stream.close()


def echo(stream, chain, key):
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (3, 4)
    settings.ticketKeys = [b"t" * 32]
    settings.ticket_count = 12
    tls = TLSConnection(stream)
    tls.closeSocket = False
    # What is sent in the handshake, tickets too, stands in records of this size.
    tls.recordSize = 100
    tls.handshakeServer(certChain=chain, privateKey=key, settings=settings, alpn=[b"http/1.1"])
    tls.recordSize = 1 << 14
    records = tls._recordLayer
    records.padding_cb = lambda _length, _kind, most: max(0, min(37, most))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += tls.read(max=1, min=1)
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)[1]
    accept = base64.b64encode(hashlib.sha1(key + SALT).digest())
    tls.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    asks = 0
    while True:
        opcode, payload = message(tls)
        send(records, ContentType.application_data, b"")
        # 0 is a new key of ours, 1 asks for one of theirs too.
        for _ in tls.send_keyupdate_request(asks % 2):
            pass
        asks += 1
        tls.write(answer(opcode, payload))
        if opcode & 15 == 8:
            tls.close()
            return


def message(tls):
    opcode, length = tls.read(max=2, min=2)
    length &= 0x7F
    if length == 126:
        length = int.from_bytes(tls.read(max=2, min=2), "big")
    elif length == 127:
        length = int.from_bytes(tls.read(max=8, min=8), "big")
    mask = tls.read(max=4, min=4)
    payload = tls.read(max=length, min=length) if length else b""
    key = (mask * (length // 4 + 1))[:length]
    return opcode, (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")


def answer(opcode, payload):
    length = len(payload)
    if length < 126:
        return bytes([opcode, length]) + payload
    if length < 1 << 16:
        return bytes([opcode, 126]) + length.to_bytes(2, "big") + payload
    return bytes([opcode, 127]) + length.to_bytes(8, "big") + payload


def send(records, kind, data):
    for _ in records.sendRecord(Message(kind, bytearray(data))):
        pass


def read(name):
    with open(os.path.join(FOLDER, name)) as file:
        return file.read()


main()
