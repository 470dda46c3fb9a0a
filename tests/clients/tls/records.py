"""A client of the package `tlslite-ng` whose every record can be made by hand."""

import socket

from facts import PATIENCE, echoed, frame, head, holds, same
from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.errors import TLSRemoteAlert
from tlslite.messages import Message

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
TLS_1_2, TLS_1_3 = (3, 3), (3, 4)
RECORD_MAX = 1 << 14


def connect(hall, listener="tls"):
    stream = socket.create_connection(("127.0.0.1", hall.port(listener)), timeout=PATIENCE)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


class Client:
    """A tunnel, and the records below it. Without a path it is a connection that asked for nothing yet."""

    def __init__(self, hall, version=TLS_1_3, record=RECORD_MAX, path="/ws", listener="tls", **chosen):
        settings = HandshakeSettings()
        settings.minVersion = settings.maxVersion = version
        settings.useExperimentalTackExtension = False
        for name, value in chosen.items():
            setattr(settings, name, value)
        self.stream = connect(hall, listener)
        self.tls = TLSConnection(self.stream)
        self.tls.closeSocket = False
        self.tls.recordSize = record
        self.tls.handshakeClientCert(settings=settings, serverName="localhost", alpn=[b"http/1.1"])
        self.tls.recordSize = RECORD_MAX
        self.records = self.tls._recordLayer
        if path:
            self.write(head(path))
            self.upgraded()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def upgraded(self):
        answer = self.answer()
        holds(answer.startswith(b"HTTP/1.1 101 "), answer)

    def answer(self):
        """The head of an answer."""
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self.read(1)
        return answer

    def write(self, data):
        self.tls.write(data)

    def read(self, count):
        data = self.tls.read(max=count, min=count)
        same(len(data), count)
        return data

    def echoes(self, opcode, payload):
        self.write(frame(opcode, payload))
        self.comes(opcode, payload)

    def comes(self, opcode, payload):
        expected = echoed(opcode, payload)
        holds(self.read(len(expected)) == expected, "other bytes than the echo")

    def record(self, kind, data, padding=0):
        """One record, whatever is in it."""
        self.records.padding_cb = (lambda *_: padding) if padding else None
        for _ in self.records.sendRecord(Message(kind, bytearray(data))):
            pass
        self.records.padding_cb = None

    def raw(self, data):
        """Bytes below the records."""
        self.stream.sendall(data)

    def collected(self):
        """For `with`: records that are made inside go out in one piece."""
        return Collected(self)

    def next_key(self):
        """What follows is sealed with the next key."""
        session = self.tls.session
        session.cl_app_secret, session.sr_app_secret = self.records.calcTLS1_3KeyUpdate_reciever(
            session.cipherSuite, session.cl_app_secret, session.sr_app_secret
        )

    def alert(self):
        """Reads on until Ringway says by an alert what was wrong."""
        try:
            while self.tls.read(max=1 << 16, min=1):
                pass
        except TLSRemoteAlert as alert:
            return alert.description
        return None


class Collected:
    def __init__(self, client):
        self.client, self.wire = client, bytearray()

    def __enter__(self):
        below = self.client.records._recordSocket
        self.socket, below.sock = below.sock, self

    def send(self, data):
        self.wire += data
        return len(data)

    def __exit__(self, *_):
        self.client.records._recordSocket.sock = self.socket
        self.client.raw(self.wire)


def key_update(asks):
    return bytes([24, 0, 0, 1, asks])
