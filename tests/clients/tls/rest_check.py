"""Looks at a Ringway whose clients are all gone: nothing of them may be left.

    python3 tests/clients/tls/rest_check.py FOLDER
"""

import sys

from facts import holds, same, tell, until


def no_tunnel_and_no_handshake_is_left(hall):
    for metric in ["ringway_tunnels_open", "ringway_handshakes_open", "ringway_tls_handshakes_open"]:
        same((metric, until(lambda: hall.count(metric), lambda count: count == 0, 40)), (metric, 0))
    for metric in ["ringway_backend_tunnels_open", "ringway_backend_handshakes_open"]:
        same((metric, until(lambda: hall.count(metric), lambda count: count == 0)), (metric, 0))


def every_receive_buffer_is_home(hall):
    all_of_them = hall.count("ringway_receive_buffers")
    holds(all_of_them > 0, all_of_them)
    home = until(lambda: hall.count("ringway_receive_buffers_home"), lambda count: count == all_of_them)
    same(home, all_of_them)


def no_worker_died_and_nothing_of_ours_failed(hall):
    same(hall.count("ringway_worker_restarts_total"), 0)
    same(hall.count("ringway_tunnels_ended_total", "worker_failure"), 0)
    same(hall.count("ringway_refusals_total", "tls_internal"), 0)
    with open(hall.file("ringway.err")) as words:
        holds("panicked" not in words.read(), "a panic: see ringway.err")


CHECKS = [
    no_tunnel_and_no_handshake_is_left,
    every_receive_buffer_is_home,
    no_worker_died_and_nothing_of_ours_failed,
]

if __name__ == "__main__":
    sys.exit(tell("rest", CHECKS))
