from __future__ import annotations

import socket


def test_a_port_that_is_taken_is_told_before_the_engine_starts(registry):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = registry.cli("model", "serve", "--port", str(port))
    assert (done.code, done.out) == (3, "")
    assert f"port {port} cannot be used" in done.err
    assert "choose another one" in done.err
    assert "Traceback" not in done.err
