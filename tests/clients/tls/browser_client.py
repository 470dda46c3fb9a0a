"""Drives Ringway with Chromium: a page over https that opens wss. It trusts our authority by its own store alone.

    python3 tests/clients/tls/browser_client.py FOLDER
"""

import itertools
import json
import os
import subprocess
import sys
import urllib.request

from facts import PATIENCE, holds, same, tell, until
from websockets.sync.client import connect


def a_page_over_https_opens_a_tunnel_and_echoes(hall):
    with Browser(hall, "trusting", trusts="ca.pem") as browser:
        browser.go(f"https://localhost:{hall.port()}/")
        same(browser.run("document.title"), "Ringway demo")
        same(browser.run("location.protocol + ' ' + isSecureContext"), "https: true")
        same(browser.run(ECHO % f"wss://localhost:{hall.port()}/ws"), "5 echoes, 1000 done true")


def the_browsers_key_exchange_is_safe_from_a_quantum_computer(hall):
    with Browser(hall, "quantum", trusts="ca.pem") as browser:
        details = browser.go(f"https://localhost:{hall.port()}/")["securityDetails"]
    found = details["protocol"], details["keyExchangeGroup"], details["cipher"]
    same(found, ("TLS 1.3", "X25519MLKEM768", "AES_128_GCM"))


def a_page_that_came_in_the_clear_is_led_to_https(hall):
    redirected = f"--host-resolver-rules=MAP localhost:8443 127.0.0.1:{hall.port()}"
    with Browser(hall, "redirected", redirected, trusts="ca.pem") as browser:
        answer = browser.go(f"http://localhost:{hall.port('clear')}/")
        same(answer["url"], "https://localhost:8443/")
        same(browser.run("document.title"), "Ringway demo")


def a_browser_that_does_not_trust_the_authority_opens_nothing(hall):
    with Browser(hall, "distrusting", trusts=None) as browser:
        # It tries more than once.
        with hall.counts("ringway_refusals_total", "tls_alert", at_least=True):
            error = browser.command("Page.navigate", url=f"https://localhost:{hall.port()}/")["errorText"]
    same(error, "net::ERR_CERT_AUTHORITY_INVALID")


CHECKS = [
    a_page_over_https_opens_a_tunnel_and_echoes,
    the_browsers_key_exchange_is_safe_from_a_quantum_computer,
    a_page_that_came_in_the_clear_is_led_to_https,
    a_browser_that_does_not_trust_the_authority_opens_nothing,
]

ECHO = """new Promise((resolve, reject) => {
    const socket = new WebSocket('%s');
    const sent = ['', 'hello', 'grüße, 世界 🌍', 'x'.repeat(70000), 'y'.repeat(1 << 20)];
    let came = 0;
    socket.onopen = () => sent.forEach(text => socket.send(text));
    socket.onerror = () => reject(new Error('the socket failed'));
    socket.onmessage = message => {
        if (message.data !== sent[came]) reject(new Error('another message came at ' + came));
        if (++came === sent.length) socket.close(1000, 'done');
    };
    socket.onclose = end => resolve(`${came} echoes, ${end.code} ${end.reason} ${end.wasClean}`);
})"""


class Browser:
    """One Chromium with a home of its own, driven over its DevTools socket."""

    def __init__(self, hall, name, *options, trusts):
        home = hall.file(f"home-{name}")
        profile = os.path.join(home, "profile")
        os.makedirs(profile)
        if trusts:
            store = os.path.join(home, ".pki", "nssdb")
            os.makedirs(store)
            self.store("-N", "--empty-password", store)
            self.store("-A", "-t", "C,,", "-n", "ours", "-i", hall.file(trusts), store)
        with open(os.path.join(home, "chromium.out"), "wb") as words:
            self.process = subprocess.Popen(
                ["chromium", *FLAGS, f"--user-data-dir={profile}", *options, "about:blank"],
                env=os.environ | {"HOME": home},
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
            )
        port = until(lambda: first_line(os.path.join(profile, "DevToolsActivePort")), bool, 40)
        holds(port, "no DevTools: see chromium.out")
        self.numbers = itertools.count(1)
        self.socket = connect(page_at(port), max_size=None, open_timeout=PATIENCE).__enter__()
        self.command("Page.enable")
        self.command("Network.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.__exit__(None, None, None)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @staticmethod
    def store(*order):
        *order, folder = order
        subprocess.run(["certutil", "-d", f"sql:{folder}", *order], check=True, capture_output=True)

    def command(self, method, **parameters):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        return self.wait(lambda told: told.get("id") == number)["result"]

    def wait(self, is_it):
        while True:
            told = json.loads(self.socket.recv(timeout=PATIENCE))
            if "error" in told:
                raise AssertionError(told["error"])
            if is_it(told):
                return told

    def go(self, address):
        """Goes to a page, and gives its answer as the browser saw it."""
        number = next(self.numbers)
        order = {"id": number, "method": "Page.navigate", "params": {"url": address}}
        self.socket.send(json.dumps(order))
        is_document = lambda told: told.get("method") == "Network.responseReceived" and (
            told["params"]["type"] == "Document"
        )
        answer = self.wait(is_document)["params"]["response"]
        self.wait(lambda told: told.get("method") == "Page.loadEventFired")
        return answer

    def run(self, script):
        order = {"expression": script, "awaitPromise": True, "returnByValue": True}
        result = self.command("Runtime.evaluate", **order)
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"])
        return result["result"]["value"]


def page_at(port):
    def pages():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=PATIENCE) as answer:
            return [one for one in json.load(answer) if one["type"] == "page"]

    return until(pages, bool)[0]["webSocketDebuggerUrl"]


def first_line(path):
    try:
        with open(path) as file:
            return file.readline().strip()
    except FileNotFoundError:
        return None


# Without those about the background it looks for hosts of its maker at every start.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]

if __name__ == "__main__":
    sys.exit(tell("chromium", CHECKS))
