"""Many connections that do nothing, and what each of them costs the server."""

import functools
import gc
import resource
import socket
import ssl
import sys
import time

from harness import OUT, ROOT, serve

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from certs import Authority  # noqa: E402
from http2 import ACK, HEADERS, PREFACE, SETTINGS, frame  # noqa: E402

KINDS = ("HTTP/1.1", "HTTP/2", "TLS")
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
# HPACK without a table: GET, http, /healthz, localhost.
FIELDS = b"\x82\x86\x04\x08/healthz\x01\x09localhost"


@functools.cache
def certificate():
    folder = OUT / "certificates"
    folder.mkdir(parents=True, exist_ok=True)
    return Authority(folder).issue("bench")


def wait_for_listener(port, seconds=30):
    """Without connecting: a receiver may take only one connection."""
    wanted = f":{port:04X} "
    for _ in range(seconds * 20):
        with open("/proc/net/tcp") as table:
            if any(wanted in line and " 0A " in line for line in table):
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def _connect(port, kind, context):
    """A connection that has asked for something once, and has its answer."""
    plain = socket.create_connection(("127.0.0.1", port), 60)
    if kind == "HTTP/2":
        plain.sendall(
            PREFACE + frame(SETTINGS) + frame(SETTINGS, ACK) + frame(HEADERS, 5, 1, FIELDS)
        )
    else:
        if kind == "TLS":
            plain = context.wrap_socket(plain)
        plain.sendall(REQUEST)
    got = b""
    while b'"ok"' not in got:
        more = plain.recv(4096)
        if not more:
            raise SystemExit(f"a connection of {kind} was closed: {got[-200:]}")
        got += more
    return plain


def idle(kind, count):
    """MB that `count` kept-alive connections add to the server's resident memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(count, hard - 500)
    settings = ["--set", "http.idle_timeout_ms=3600000"]
    if kind == "TLS":
        pair = certificate()
        settings += ["--set", f"tls.cert={pair.cert}", "--set", f"tls.key={pair.key}"]
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with serve(*settings) as server:
        for _ in range(10):  # whatever is made on first use
            _connect(server.port, kind, context).close()
        before = server.memory_mb()
        kept = [_connect(server.port, kind, context) for _ in range(count)]
        time.sleep(1)
        after = server.memory_mb()
        for connection in (kept[0], kept[-1]):
            if kind != "HTTP/2":
                connection.sendall(REQUEST)
                if b"200 OK" not in connection.recv(4096):
                    raise SystemExit("a connection that was idle is not answered any more")
        for connection in kept:
            connection.close()
    del kept
    gc.collect()
    return {
        "connections": count,
        "before_mb": round(before, 1),
        "more_mb": round(after - before, 1),
        "kb_each": round((after - before) * 1024 / count, 2),
    }
