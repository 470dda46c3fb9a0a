"""Drives Ringway with `curl`, which speaks HTTP over OpenSSL.

    python3 tests/clients/tls/curl_client.py FOLDER
"""

import subprocess
import sys

from facts import holds, same, tell


def a_page_comes_over_https(hall):
    answer = curl(hall, f"https://localhost:{hall.port()}/")
    same(answer.status, "200")
    holds("<title>Ringway demo</title>" in answer.body, answer.body[:80])


def a_page_comes_over_tls_1_2_with_rsa(hall):
    options = ["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-CHACHA20-POLY1305", "-v"]
    answer = curl(hall, f"https://localhost:{hall.port()}/", *options)
    same(answer.status, "200")
    holds("TLSv1.2 / ECDHE-RSA-CHACHA20-POLY1305" in answer.words, answer.words)


def a_backends_page_comes_over_tls_on_both_sides(hall):
    answer = curl(hall, f"https://localhost:{hall.port()}/trusted/page")
    same((answer.status, answer.body), ("200", "over TLS all the way, " * 5000))


def http_1_1_is_agreed_on_though_http_2_is_offered_first(hall):
    answer = curl(hall, f"https://localhost:{hall.port()}/", "--http2", "-v")
    same(answer.status, "200")
    holds("ALPN: server accepted http/1.1" in answer.words, answer.words)


def browsers_are_told_to_stay_with_https(hall):
    for path, status in [("/", "200"), ("/inspected", "426"), ("/wrong-name", "426")]:
        answer = curl(hall, f"https://localhost:{hall.port()}{path}")
        same(answer.status, status)
        same(answer.field("strict-transport-security"), "max-age=31536000; includeSubDomains")


def whoever_comes_in_the_clear_is_led_to_https(hall):
    port = hall.port("clear")
    with hall.refuses("redirect_to_https"):
        answer = curl(hall, f"http://localhost:{port}/healthz?a=b")
    same((answer.status, answer.field("location")), ("308", "https://localhost:8443/healthz?a=b"))
    same(answer.field("strict-transport-security"), None)
    there = ["--location", "--connect-to", f"localhost:8443:127.0.0.1:{hall.port()}"]
    answer = curl(hall, f"http://localhost:{port}/healthz", *there)
    same((answer.status, answer.body), ("200", "ok\n"))


def http_in_the_clear_to_the_tls_port_is_told_so(hall):
    with hall.refuses("plain_http"):
        answer = curl(hall, f"http://localhost:{hall.port()}/")
    same(answer.status, "400")
    same(answer.field("strict-transport-security"), None)


def whoever_does_not_trust_the_authority_says_so_and_is_counted(hall):
    with hall.refuses("tls_alert"):
        answer = curl(hall, f"https://localhost:{hall.port()}/", authority="stranger.pem")
    same(answer.code, 60)


def a_client_without_a_certificate_is_refused_where_one_is_required(hall):
    with hall.refuses("tls_no_client_certificate"):
        answer = curl(hall, f"https://localhost:{hall.port('devices')}/")
    holds("alert certificate required" in answer.words, answer.words)


def a_client_with_a_strangers_certificate_is_refused(hall):
    with hall.refuses("tls_bad_client_certificate"):
        answer = curl(hall, f"https://localhost:{hall.port('devices')}/", *papers(hall, "device-8"))
    holds("alert unknown ca" in answer.words, answer.words)


def a_client_with_a_good_certificate_is_let_in(hall):
    answer = curl(hall, f"https://localhost:{hall.port('devices')}/", *papers(hall, "device-7"))
    same(answer.status, "200")


CHECKS = [
    a_page_comes_over_https,
    a_page_comes_over_tls_1_2_with_rsa,
    a_backends_page_comes_over_tls_on_both_sides,
    http_1_1_is_agreed_on_though_http_2_is_offered_first,
    browsers_are_told_to_stay_with_https,
    whoever_comes_in_the_clear_is_led_to_https,
    http_in_the_clear_to_the_tls_port_is_told_so,
    whoever_does_not_trust_the_authority_says_so_and_is_counted,
    a_client_without_a_certificate_is_refused_where_one_is_required,
    a_client_with_a_strangers_certificate_is_refused,
    a_client_with_a_good_certificate_is_let_in,
]


# --- Helpers ---


class Answer:
    def __init__(self, done):
        self.code = done.returncode
        self.words = done.stderr.decode()
        whole = done.stdout.decode()
        # After a redirect the last head counts.
        while True:
            head, _, self.body = whole.partition("\r\n\r\n")
            if " 308 " not in head or not self.body.startswith("HTTP/"):
                break
            whole = self.body
        lines = head.split("\r\n")
        self.status = lines[0].split(" ")[1] if " " in lines[0] else lines[0]
        self.fields = {line.split(":")[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}

    def field(self, name):
        return self.fields.get(name)


def curl(hall, address, *options, authority="ca.pem"):
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--include"]
    command += ["--ipv4", "--cacert", hall.file(authority), *options, address]
    return Answer(subprocess.run(command, capture_output=True, timeout=30))


def papers(hall, name):
    return ["--cert", hall.file(f"{name}.pem"), "--key", hall.file(f"{name}.key")]


if __name__ == "__main__":
    sys.exit(tell("curl", CHECKS))
