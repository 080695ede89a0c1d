"""Kept-alive connections that do nothing cost next to nothing, and are still answered.
(bench/run --only "idle connections" has ten thousand of them, over HTTP/2 and TLS too.)"""

import psutil
from wire import Connection, head

COUNT = 1000


def test_a_thousand_idle_connections(start):
    server = start(args=("--set", "http.idle_timeout_ms=600000"))
    process = psutil.Process(server.process.pid)

    def asked():
        connection = Connection(server)
        connection.send(head(server, "GET", "/healthz"))
        assert connection.answer("GET").status_code == 200
        return connection

    for _ in range(10):
        asked().close()
    before = process.memory_info().rss
    kept = [asked() for _ in range(COUNT)]
    more = process.memory_info().rss - before
    for connection in kept[:: COUNT // 10]:
        connection.send(head(server, "GET", "/healthz"))
        assert connection.answer("GET").status_code == 200
    for connection in kept:
        connection.close()
    assert more < COUNT * 10_000, f"{more / COUNT:.0f} bytes each"
