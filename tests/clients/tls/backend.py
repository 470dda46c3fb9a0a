"""Echo backends of the package `websockets` over OpenSSL: one that speaks TLS 1.3, one that speaks TLS 1.2 only.

They say who came: the host it asked for, the certificate it showed, and the fields it brought. On standard output is a
line for each with its address.
"""

import asyncio
import json
import os
import ssl
import sys

from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

FOLDER = sys.argv[1]


async def main():
    newer, older = security(), security()
    newer.minimum_version = ssl.TLSVersion.TLSv1_3
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    options = {"process_request": page, "max_size": None, "compression": None}
    async with (
        serve(echo, "127.0.0.1", 0, ssl=newer, **options) as first,
        serve(echo, "127.0.0.1", 0, ssl=older, **options) as second,
    ):
        for name, server in [("tls-1.3", first), ("tls-1.2", second)]:
            print(name, "%s:%d" % server.sockets[0].getsockname(), flush=True)
        await asyncio.get_running_loop().create_future()


def security():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file("backend.pem"), file("backend.key"))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(file("ca.pem"))
    context.set_alpn_protocols(["http/1.1"])

    def asked(connection, name, _context):
        connection.context.asked = name

    context.sni_callback = asked
    return context


async def echo(tunnel):
    if tunnel.request.path.endswith("/who"):
        await tunnel.send(json.dumps(who(tunnel)))
    async for message in tunnel:
        await tunnel.send(message)


def who(tunnel):
    tls = tunnel.transport.get_extra_info("ssl_object")
    shown = tls.getpeercert() or {}
    return {
        "asked": getattr(tls.context, "asked", None),
        "version": tls.version(),
        "cipher": tls.cipher()[0],
        "alpn": tls.selected_alpn_protocol(),
        "resumed": tls.session_reused,
        "shown": dict(pair for [pair] in shown.get("subject", [])).get("commonName"),
        "fields": {name: value for name, value in tunnel.request.headers.raw_items() if name.startswith("X-")},
    }


def page(_tunnel, request):
    """An ordinary answer to who does not ask for a tunnel."""
    if "Upgrade" in request.headers:
        return None
    body = b"over TLS all the way, " * 5000
    fields = Headers({"Content-Length": str(len(body)), "Content-Type": "text/plain", "Connection": "close"})
    return Response(200, "OK", fields, body)


def file(name):
    return os.path.join(FOLDER, name)


asyncio.run(main())
