"""What every request meets before its endpoint: Host, Origin, method, path, limits."""

import threading

import pytest
from wire import Connection, head

from server import ARROW, problem

pytestmark = pytest.mark.asan

ROUTES = {
    "/healthz": {"GET"},
    "/version": {"GET"},
    "/streams": {"GET"},
    "/tables": {"GET"},
    "/tables/x": {"GET"},
    "/query": {"GET", "POST"},
    "/ingest/x": {"POST"},
}


@pytest.mark.parametrize("path", ROUTES)
def test_a_wrong_method_is_405_with_those_allowed(server, path):
    methods = {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "get", "SPLICE"}
    for method in sorted(methods - ROUTES[path]):
        with Connection(server) as connection:
            connection.send(head(server, method, path, "Content-Length: 0"))
            answer = connection.answer(method)
            problem(answer, 405)
            allowed = {m.strip() for m in answer.headers["Allow"].split(",")}
            assert allowed - {"HEAD"} == ROUTES[path]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/healthz/",
        "/healthz/x",
        "/HEALTHZ",
        "/query/x",
        "/tables/a/b",
        "/ingest/a/b",
        "//healthz",
        "/streams/x",
        "/%68ealth",
        "/favicon.ico",
        "/.env",
        "/../etc/passwd",
    ],
)
def test_an_unknown_path_is_404(server, path):
    with Connection(server) as connection:
        connection.send(head(server, "GET", path))
        problem(connection.answer("GET"), 404)


def test_head_is_get_without_a_body(server):
    with Connection(server) as connection:
        connection.send(head(server, "HEAD", "/healthz") + head(server, "GET", "/healthz"))
        first = connection.answer("HEAD")
        assert first.status_code in (200, 405) and first.content == b""
        assert connection.answer("GET").json() == {"status": "ok"}


# ---- a web page in a browser on this machine


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
@pytest.mark.parametrize("port", ["", ":{port}", ":1", ":65535"])
def test_loopback_names_are_known_with_any_port(server, host, port):
    with Connection(server) as connection:
        connection.send(head(server, "GET", "/healthz", host=host + port.format(port=server.port)))
        assert connection.answer("GET").status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example",
        "0.0.0.0",
        "localhost.evil.example",
        "127.0.0.2",
        "[::2]",
        "::1",
        "evil.example@127.0.0.1",
        "127.0.0.1:x",
        "localhost.",
    ],
)
def test_an_unknown_host_is_refused(server, host):
    """DNS rebinding: the page's own name leads to 127.0.0.1, and its Host tells."""
    for method, path in (("GET", "/healthz"), ("GET", "/query?sql=SELECT+1"), ("GET", "/nothing")):
        with Connection(server) as connection:
            connection.send(head(server, method, path, host=host.format(port=server.port)))
            answer = connection.answer(method)
            assert answer.status_code in (400, 403), answer.text
            if "evil" in host and "@" not in host:
                problem(answer, 403, "host")


def test_a_missing_or_doubled_host_is_refused(server):
    for lines in (b"", b"Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n", b"Host:\r\n"):
        with Connection(server) as connection:
            connection.send(b"GET /healthz HTTP/1.1\r\n" + lines + b"\r\n")
            assert connection.answer("GET").status_code in (400, 403)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://evil.example:{port}",
        "null",
        "http://127.0.0.1.evil.example",
        "file://",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
    ],
)
def test_a_foreign_origin_is_refused_before_anything_happens(server, name, origin):
    origin = origin.format(port=server.port)
    sql = f"CREATE TABLE {name} (a INTEGER)".encode()
    answer = server.post(
        "/query", data=sql, headers={"Content-Type": "application/sql", "Origin": origin}
    )
    problem(answer, 403, "page")
    problem(server.get("/healthz", headers={"Origin": origin}), 403, "page")
    problem(
        server.post(f"/ingest/{name}", data=b"", headers={"Content-Type": ARROW, "Origin": origin}),
        403,
        "page",
    )
    assert not server.has_table(name)
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_servers_own_origin_is_not_foreign(server):
    answer = server.get("/healthz", headers={"Origin": server.url})
    assert answer.status_code == 200


def test_a_preflight_is_not_granted(server):
    with Connection(server) as connection:
        connection.send(
            head(
                server,
                "OPTIONS",
                "/query",
                "Origin: https://evil.example",
                "Access-Control-Request-Method: POST",
                "Access-Control-Request-Headers: content-type",
            )
        )
        answer = connection.answer("OPTIONS")
        assert answer.status_code in (403, 405)
        assert not any(h.lower().startswith("access-control") for h in answer.headers)


def test_answers_are_not_to_be_sniffed(server):
    """A browser that is shown an answer must not take it for a page."""
    answer = server.get("/query", params={"sql": "SELECT '<script>' AS a"})
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    assert answer.headers.get("X-Content-Type-Options") == "nosniff"


# ---- limits and broken requests


def send_until_refused(connection, data):
    try:
        connection.send(data)
    except OSError:
        pass  # closed while it was still being sent, which is fine


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nNo colon here\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: b\0c\r\n\r\n",
        b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
        b"GET /heal\0thz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60,
    ],
)
def test_what_is_not_http_is_refused_and_closed(server, request_bytes):
    with Connection(server) as connection:
        connection.send(request_bytes)
        answer = connection.answer("GET")
        assert answer.status_code in (400, 505), answer.text
        assert connection.ended()
    assert server.get("/healthz").status_code == 200


def test_headers_without_end_are_refused(server):
    with Connection(server) as connection:
        try:
            connection.send(head(server, "GET", "/healthz", *[f"X-{i}: y" for i in range(100_000)]))
        except ConnectionError:
            pass  # refused while it was still being sent
        try:
            assert connection.answer("GET").status_code in (400, 413, 431)
        except ConnectionError:
            pass
    assert server.get("/healthz").status_code == 200


def test_a_target_without_end_is_refused(server):
    with Connection(server) as connection:
        try:
            connection.send(head(server, "GET", "/" + "x" * 2_000_000))
        except ConnectionError:
            pass
        try:
            assert connection.answer("GET").status_code in (400, 413, 414, 431)
        except ConnectionError:
            pass
    assert server.get("/healthz").status_code == 200


def test_sql_without_end_is_refused(server):
    body = b"SELECT '" + b"x" * (64 << 20) + b"'"
    with Connection(server) as connection:
        connection.send(
            head(
                server,
                "POST",
                "/query",
                "Content-Type: application/sql",
                f"Content-Length: {len(body)}",
            )
        )
        sender = threading.Thread(target=send_until_refused, args=(connection, body))
        sender.start()
        problem(connection.answer(), 413)
        sender.join()
    assert server.value("SELECT 1 AS a") == 1


def test_http_1_0_is_answered_and_closed(server):
    with Connection(server) as connection:
        connection.send(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = connection.answer("GET")
        assert answer.status_code in (200, 505)
        assert connection.ended()


def test_the_absolute_form_of_a_target_is_understood_or_refused(server):
    with Connection(server) as connection:
        connection.send(head(server, "GET", f"http://127.0.0.1:{server.port}/healthz"))
        assert connection.answer("GET").status_code in (200, 400, 404)
    with Connection(server) as connection:
        connection.send(head(server, "GET", "http://evil.example/healthz"))
        assert connection.answer("GET").status_code in (400, 403, 404)
